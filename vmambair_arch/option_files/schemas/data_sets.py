"""The keys of BasicSR's data sets; our data set classes name theirs as ``options``."""

from typing import Annotated, Literal

from basicsr.utils.registry import DATASET_REGISTRY
from pydantic import AfterValidator, Field

from ...degrading.kernels import TwoOrderKernels
from ...option_values.data_sets import CROP, LOADER, DataSet, Images, IoBackend, Paired
from ...option_values.kinds import (
    WHOLE,
    Count,
    Deviations,
    FileName,
    FilePath,
    Means,
    Template,
    only,
)
from .families import known

TESTED = ("vid4", "reds4", "redsofficial")  # names that VideoTestDataset knows, in lower case
Padding = Literal["replicate", "reflection", "reflection_circle", "circle"]


def _tested(name: str | None) -> str:
    if name is None or name.lower() not in TESTED:
        raise ValueError(
            "is not Vid4, REDS4 or REDSofficial: BasicSR lists the frames of no other; give the set"
            " one of these names, whatever it holds"
        )
    return name


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


class RealESRGAN(TwoOrderKernels):
    """RealESRGANDataset."""


class FFHQ(DataSet):
    """FFHQDataset."""

    in_training = (*LOADER, "use_hflip")
    scaled = False

    dataroot_gt: FilePath
    io_backend: IoBackend
    mean: Means
    std: Deviations


class VideoDataSet(DataSet):
    """The keys that all video data sets share."""

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

    ignored = {"interval_list": "has no effect: the frames of Vimeo90K are consecutive"}

    in_training = CROP

    meta_info_file: FilePath
    random_reverse: bool


class Vimeo90KRecurrent(Vimeo90K):
    """Vimeo90KRecurrentDataset, which uses all seven frames whatever num_frame is."""

    num_frame: Annotated[int, Field(ge=-1, le=1000), WHOLE]
    flip_sequence: bool


class VideoTest(VideoDataSet):
    """VideoTestDataset."""

    name: Annotated[
        FileName | None,
        AfterValidator(_tested),
        Field(
            validate_default=True,
            description="needed: Vid4, REDS4 or REDSofficial; BasicSR lists the frames by it",
        ),
    ] = None
    cache_data: bool
    meta_info_file: FilePath | None = None
    padding: Padding


class VideoTestVimeo90K(VideoDataSet):
    """VideoTestVimeo90KDataset."""

    ignored = {"padding": "has no effect: Vimeo90K needs no frames outside of a sequence"}

    cache_data: Annotated[bool, only(False, "is not supported by Vimeo90K; set it to false")]
    meta_info_file: FilePath


class VideoTestDUF(VideoTest):
    """VideoTestDUFDataset."""

    use_duf_downsampling: bool


class VideoRecurrentTest(VideoTest):
    """VideoRecurrentTestDataset, which uses whole sequences."""

    cache_data: Annotated[bool, only(True, "is not supported for whole clips; set it to true")]
    num_frame: Annotated[int, Field(ge=-1, le=1000), WHOLE] = -1
    padding: Padding = "replicate"


HOST: dict[str, type[DataSet]] = {
    "FFHQDataset": FFHQ,
    "PairedImageDataset": Paired,
    "REDSDataset": REDS,
    "REDSRecurrentDataset": REDSRecurrent,
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


def sections() -> dict[str, type[DataSet]]:
    """The keys of each data set, BasicSR's and ours, by its registered name."""
    ours = {name: cls.options for name, cls in DATASET_REGISTRY if "options" in vars(cls)}
    return dict(sorted({**HOST, **ours}.items()))


def section_of(cls: type) -> type[DataSet] | None:
    """The keys of a registered data set; None if they are not known here."""
    found = (vars(base).get("options") or HOST.get(base.__name__) for base in cls.__mro__)
    return next(filter(None, found), None) if known(cls) else None
