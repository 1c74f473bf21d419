"""The data sets of an option file: BasicSR's and ours, each with the keys that it reads."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from ...option_values.kinds import (
    WHOLE,
    Angles,
    Count,
    CountOrZero,
    Densities,
    Depths,
    Deviations,
    FileName,
    FilePath,
    Lengths,
    Means,
    NotNegative,
    Probabilities,
    Probability,
    Qualities,
    Quality,
    Range,
    Section,
    Shares,
    Size,
    Template,
    Text,
    only,
)

LOADER = ("batch_size_per_gpu", "num_worker_per_gpu")  # what BasicSR's loader reads to train
CROP = (*LOADER, "gt_size", "use_hflip", "use_rot")
KERNELS = Literal[
    "iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso"
]
SHUFFLES = "is always true here: training images are shuffled"
PROGRESSIVE = "is read by no data set of this type; patches would keep the size gt_size"


class IoBackend(Section):
    """Where images are read from."""

    type: Literal["disk", "lmdb", "memcached"]
    server_list_cfg: FilePath | None = None
    client_cfg: FilePath | None = None
    sys_path: FilePath | None = None


class DataSet(Section):
    """What every data set may have.

    in_training, in_validation: the keys that it needs then, besides the required ones.
    scaled: whether it needs the file's scale.
    has_gt: whether there is something to compare outputs with.
    """

    in_training: ClassVar[tuple[str, ...]] = LOADER
    in_validation: ClassVar[tuple[str, ...]] = ()
    scaled: ClassVar[bool] = True
    has_gt: ClassVar[bool] = True

    type: Text
    name: FileName | None = None
    num_worker_per_gpu: Annotated[int, Field(ge=0, le=256), WHOLE] = 0
    batch_size_per_gpu: Annotated[int, Field(ge=1, le=65536), WHOLE] = 1
    dataset_enlarge_ratio: Annotated[float, Field(gt=0, le=100_000)] = 1
    prefetch_mode: Literal["cpu", "cuda"] | None = None
    num_prefetch_queue: Annotated[int, Field(ge=1, le=1024), WHOLE] = 1
    pin_memory: bool = False
    persistent_workers: bool = False
    gt_size: Size | None = None
    use_hflip: bool = False
    use_rot: bool = False
    use_shuffle: Annotated[bool | None, only(True, SHUFFLES)] = True
    # Restormer's: augmentation as use_hflip and use_rot, and progressive patches.
    geometric_augs: Any = None
    gt_sizes: Annotated[Any, only(None, PROGRESSIVE)] = None
    iters: Annotated[Any, only(None, PROGRESSIVE)] = None
    mini_batch_sizes: Annotated[Any, only(None, PROGRESSIVE)] = None


class Images(DataSet):
    """Images that are normalised or reduced to brightness on request."""

    io_backend: IoBackend
    mean: Means | None = None
    std: Deviations | None = None
    color: Literal["y", "rgb"] | None = None


class Paired(Images):
    """PairedImageDataset."""

    in_training = CROP

    dataroot_gt: FilePath
    dataroot_lq: FilePath
    meta_info_file: FilePath | None = None
    filename_tmpl: Template = "{}"


class Progressive(Paired):
    """ProgressiveImageDataset: for each stage crops, a batch and a number of iterations."""

    in_training = (*CROP, "gt_sizes", "mini_batch_sizes", "iters")

    gt_sizes: Annotated[list[Size], Field(min_length=1)] | None = None
    mini_batch_sizes: Annotated[list[Count], Field(min_length=1)] | None = None
    iters: Annotated[list[Count], Field(min_length=1)] | None = None
    pad_small_images: bool = False


class RealESRGANPaired(Images):
    """RealESRGANPairedDataset."""

    in_training = CROP

    dataroot_gt: FilePath
    dataroot_lq: FilePath
    meta_info: FilePath | None = None
    filename_tmpl: Template = "{}"


class Single(Images):
    """SingleImageDataset: images to restore, with nothing to compare them with."""

    scaled = False
    has_gt = False

    dataroot_lq: FilePath
    meta_info_file: FilePath | None = None


class Bicubic(DataSet):
    """BicubicImageDataset."""

    in_training = CROP

    dataroot_gt: FilePath
    images: Annotated[list[FileName], Field(min_length=1)] | None = None


class SyntheticPairs(DataSet):
    """What the data sets that degrade clean images at scale 1 have in common."""

    in_training = CROP
    scaled = False

    dataroot_gt: FilePath
    images: Annotated[list[FileName], Field(min_length=1)] | None = None
    io_backend: IoBackend
    noise_seed: CountOrZero = 0


class GaussianNoise(SyntheticPairs):
    """GaussianNoiseDataset."""

    in_training = (*CROP, "sigma_range")
    in_validation = ("sigma_test",)

    sigma_range: Range | None = None
    sigma_test: NotNegative | None = None


class NoiseJPEG(SyntheticPairs):
    """NoiseJPEGDataset."""

    in_training = (*CROP, "sigma_range", "jpeg_range")

    sigma_range: Range | None = None
    noise_prob: Probability = 1
    jpeg_range: Qualities | None = None
    jpeg_prob: Probability = 1
    sigma_test: NotNegative | None = None
    jpeg_test: Quality | None = None


class Rain(SyntheticPairs):
    """RainDataset."""

    angle_range: Angles
    length_range: Lengths
    width_range: Lengths
    density_range: Densities
    depth_range: Depths
    opacity_range: Shares
    haze_range: Shares
    airlight_range: Shares


class FFHQ(DataSet):
    """FFHQDataset."""

    in_training = (*LOADER, "use_hflip")
    scaled = False

    dataroot_gt: FilePath
    io_backend: IoBackend
    mean: Means
    std: Deviations


class RealESRGAN(DataSet):
    """RealESRGANDataset: ground truth, and kernels for its model to degrade it with."""

    in_training = (*LOADER, "use_hflip", "use_rot")

    dataroot_gt: FilePath
    meta_info: FilePath | None = None
    io_backend: IoBackend
    blur_kernel_size: Size
    kernel_list: Annotated[list[KERNELS], Field(min_length=1)]
    kernel_prob: Probabilities
    blur_sigma: Range
    betag_range: Range
    betap_range: Range
    sinc_prob: Probability
    blur_kernel_size2: Size
    kernel_list2: Annotated[list[KERNELS], Field(min_length=1)]
    kernel_prob2: Probabilities
    blur_sigma2: Range
    betag_range2: Range
    betap_range2: Range
    sinc_prob2: Probability
    final_sinc_prob: Probability


class Degradation(RealESRGAN):
    """DegradationDataset: RealESRGANDataset on any device, with crops of any size."""

    crop_pad_size: Size = 400


class VideoDataSet(DataSet):
    """What the video data sets have in common."""

    dataroot_gt: FilePath
    dataroot_lq: FilePath
    io_backend: IoBackend
    num_frame: Annotated[int, Field(ge=1, le=1000), WHOLE]


class REDS(VideoDataSet):
    """REDSDataset."""

    in_training = CROP

    dataroot_flow: FilePath | None
    meta_info_file: FilePath
    val_partition: Literal["REDS4", "official"]
    interval_list: Annotated[list[Count], Field(min_length=1)]
    random_reverse: bool


class REDSRecurrent(VideoDataSet):
    """REDSRecurrentDataset."""

    in_training = CROP

    dataroot_flow: FilePath | None = None
    meta_info_file: FilePath
    val_partition: Literal["REDS4", "official"]
    test_mode: bool
    interval_list: Annotated[list[Count], Field(min_length=1)] = [1]
    random_reverse: bool = False


class Vimeo90K(VideoDataSet):
    """Vimeo90KDataset."""

    ignored = {"interval_list": "has no effect: the frames of Vimeo90K follow each other"}

    in_training = CROP

    meta_info_file: FilePath
    random_reverse: bool


class Vimeo90KRecurrent(Vimeo90K):
    """Vimeo90KRecurrentDataset, which takes all seven frames whatever num_frame is."""

    num_frame: Annotated[int, Field(ge=-1, le=1000), WHOLE]
    flip_sequence: bool


class VideoTest(VideoDataSet):
    """VideoTestDataset."""

    cache_data: bool
    meta_info_file: FilePath | None = None
    padding: Literal["replicate", "reflection", "reflection_circle", "circle"] = "replicate"


class VideoTestVimeo90K(VideoDataSet):
    """VideoTestVimeo90KDataset."""

    ignored = {"padding": "has no effect: no frame is outside of a sequence of Vimeo90K"}

    cache_data: bool
    meta_info_file: FilePath


class VideoTestDUF(VideoTest):
    """VideoTestDUFDataset."""

    use_duf_downsampling: bool


class VideoRecurrentTest(VideoTest):
    """VideoRecurrentTestDataset, which takes whole sequences."""

    num_frame: Annotated[int, Field(ge=-1, le=1000), WHOLE] = -1


DATA_SETS: dict[str, type[DataSet]] = {
    "BicubicImageDataset": Bicubic,
    "DegradationDataset": Degradation,
    "FFHQDataset": FFHQ,
    "GaussianNoiseDataset": GaussianNoise,
    "NoiseJPEGDataset": NoiseJPEG,
    "PairedImageDataset": Paired,
    "ProgressiveImageDataset": Progressive,
    "REDSDataset": REDS,
    "REDSRecurrentDataset": REDSRecurrent,
    "RainDataset": Rain,
    "RealESRGANDataset": RealESRGAN,
    "RealESRGANPairedDataset": RealESRGANPaired,
    "SingleImageDataset": Single,
    "VideoRecurrentTestDataset": VideoRecurrentTest,
    "VideoTestDUFDataset": VideoTestDUF,
    "VideoTestDataset": VideoTest,
    "VideoTestVimeo90KDataset": VideoTestVimeo90K,
    "Vimeo90KDataset": Vimeo90K,
    "Vimeo90KRecurrentDataset": Vimeo90KRecurrent,
}
