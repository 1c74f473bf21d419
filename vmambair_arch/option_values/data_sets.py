"""The keys that all data sets of an option file share, and base classes for those that add more."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from .kinds import WHOLE, Deviations, FileName, FilePath, Means, Section, Size, Template, Text, only

LOADER = ("batch_size_per_gpu", "num_worker_per_gpu")  # needed by BasicSR's training loader
CROP = (*LOADER, "gt_size", "use_hflip", "use_rot")
SHUFFLES = "is always true here: training images are shuffled"
PROGRESSIVE = "is not read by data sets of this type; patches would keep the size gt_size"


class IoBackend(Section):
    """Where images are read from."""

    type: Literal["disk", "lmdb", "memcached"]
    server_list_cfg: FilePath | None = None
    client_cfg: FilePath | None = None
    sys_path: FilePath | None = None


class DataSet(Section):
    """The keys that every data set may have.

    in_training, in_validation: keys needed only in training or validation.
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
    """Images that can be normalised or reduced to luma."""

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


def needed_size(size: Any, scale: int, largest: int | None = None, option: str = "") -> str:
    """What the side of a ground truth crop must be, or an empty string if it is that.

    Args:
        size: the side, in pixels.
        scale: of the network.
        largest, option: the largest possible side, and the option that sets it.
    """
    whole = isinstance(size, int) and size > 0 and size % scale == 0
    if whole and (largest is None or size <= largest):
        return ""
    limit = "" if largest is None else f", at most {option} {largest}"
    return f"a multiple of the scale {scale}{limit}"
