"""UNet: what VmambaIR and Restormer share: everything but their blocks."""

import json
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..errors import InputError
from ..system.allocator import keep_unless_told_otherwise
from .modules.layers import DenseConv, PixelShuffle, PixelUnshuffle, PointwiseConv
from .modules.tail import Tail

MAX_CONFIG_LENGTH = 10_000  # characters; ours have 400


Network = TypeVar("Network", bound="UNet")


class UNet(nn.Module):
    """Restore (b, in, h, w) to (b, out, scale h, scale w); h and w multiples of ``multiple``.

    Each network lists all its options in its own constructor, so that its signature is where they
    are declared, for readers, editors and option files; see VmambaIR for their meaning.

    Args:
        block: builds a block from its channels and its level: 0 is full size, the last the latent.
    Raises: ValueError: the value of an option of the U-Net is impossible.
    Source: Restormer, arXiv 2111.09881, Section 3 and Figure 2, on which VmambaIR builds.
    """

    # Options that change what the network computes but not the shape of any tensor.
    shapeless: ClassVar[tuple[str, ...]] = ()
    # Called by from_pretrained; set by ``checkpoints``, which networks must not import.
    load_pretrained: ClassVar[Callable[..., nn.Module]]
    config: dict[str, Any]  # the subclass's options
    multiple: int  # height and width must be multiples of it: 2, 4 or 8, one halving per level

    def __init__(
        self,
        *,
        block: Callable[[int, int], nn.Module],
        in_channels: int,
        out_channels: int,
        scale: int = 1,
        dim: int,
        num_blocks: Sequence[int],
        num_refinement_blocks: int,
        bias: bool,
        dual_pixel: bool,
        residual: bool | None = None,
        activation_checkpointing: bool,
    ):
        super().__init__()
        _check_sizes(num_blocks, num_refinement_blocks, in_channels, out_channels, dim)
        if dual_pixel and scale != 1:
            raise ValueError(f"dual_pixel needs scale 1, and scale is {scale}")
        self.in_channels, self.scale = in_channels, scale
        self.residual = residual is not False and not dual_pixel
        if self.residual and in_channels != out_channels:
            other = "" if residual is None else " set residual: false, or"
            raise ValueError(
                f"the residual adds {in_channels} channels to {out_channels}:{other} make"
                " in_channels and out_channels equal"
            )
        keep_unless_told_otherwise()

        def level(depth: int, channels: int, number: int) -> Level:
            blocks = (block(channels, number) for _ in range(depth))
            return Level(*blocks, activation_checkpointing=activation_checkpointing)

        *depths, latent = num_blocks
        widths = [dim * 2**number for number in range(len(num_blocks))]
        self.multiple = 2 ** len(depths)
        self.shallow = nn.Conv2d(in_channels, dim, 3, padding=1, bias=bias)
        self.encoders = nn.ModuleList(map(level, depths, widths, range(len(depths))))
        self.downs = nn.ModuleList(map(Down, widths[:-1]))
        self.latent = level(latent, widths[-1], len(depths))
        self.ups = nn.ModuleList(map(Up, reversed(widths[1:])))
        self.reductions = nn.ModuleList(
            PointwiseConv(2 * channels, channels, bias=bias) for channels in widths[-2:0:-1]
        )
        self.reductions.append(nn.Identity())  # the first level keeps both halves
        widths[0] = 2 * dim
        self.decoders = nn.ModuleList(
            level(depths[number], widths[number], number) for number in reversed(range(len(depths)))
        )
        self.refinement = level(num_refinement_blocks, 2 * dim, 0)
        self.dual_pixel = PointwiseConv(dim, 2 * dim, bias=bias) if dual_pixel else None
        self.tail = Tail(2 * dim, out_channels, scale=scale, bias=bias or scale > 1)

    @classmethod
    def from_pretrained(
        cls: type[Network],
        name: str,
        *,
        revision: str | None = None,
        file: str | None = None,
        device: str | torch.device = "cpu",
    ) -> Network:
        """Load a network from the Hugging Face Hub, or from a folder or a file.

        Args:
            name: user/name on the hub, or a path that exists.
            revision: a commit, a tag or a branch; only a commit never changes.
            file: its name in the repository or folder; by default model.safetensors, or the only
                file of weights.
            device: where the network goes.
        Returns: the network, in float32 and eval mode.
        Raises: InputError (a ValueError): there is no such network, it is of another class, or the
            hub cannot be reached and it is not in the cache.
        """
        network = UNet.load_pretrained(name, revision=revision, file=file, device=device)
        if not isinstance(network, cls):
            raise InputError(f"{name}: is a {type(network).__name__}, not a {cls.__name__}")
        return network

    def forward(self, x: Tensor) -> Tensor:
        """(b, in, h, w) -> (b, out, scale h, scale w)"""
        self._check_input(x)
        shallow = self.shallow(x.contiguous(memory_format=torch.channels_last))
        features = self.refinement(self._unet(shallow))
        if self.dual_pixel is not None:
            features = features + self.dual_pixel(shallow)
        output = self.tail(features)
        return output + F.interpolate(x, scale_factor=self.scale) if self.residual else output

    def _unet(self, x: Tensor) -> Tensor:
        """(b, dim, h, w) -> (b, 2 dim, h, w)"""
        skips = []
        for encoder, down in zip(self.encoders, self.downs, strict=True):
            skips.append(encoder(x))
            x = down(skips[-1])
        x = self.latent(x)
        for up, reduction, decoder in zip(self.ups, self.reductions, self.decoders, strict=True):
            x = decoder(reduction(torch.cat([up(x), skips.pop()], dim=1)))
        return x

    def _check_input(self, x: Tensor) -> None:
        if x.dim() != 4 or x.shape[1] != self.in_channels or x.shape[0] == 0:
            raise InputError(
                f"input has shape {tuple(x.shape)}; it must be (b, {self.in_channels}, h, w), b > 0"
            )
        h, w = x.shape[2:]
        if h % self.multiple or w % self.multiple or h == 0 or w == 0:
            raise InputError(
                f"input is {h} x {w} pixels: height and width must be multiples of {self.multiple};"
                " vmambair_arch.inference.run, or model_type: VmambaIRModel, pads and crops"
            )

    def get_extra_state(self) -> Tensor:
        """The configuration as JSON in a uint8 tensor: part of every state dict."""
        return write_config(self.config)

    def set_extra_state(self, state: Tensor) -> None:
        """Compare the options that show in no tensor's shape with those of a file.

        Averaging files damages their configuration: then nothing is compared.

        Raises: InputError: the file's network computes something different.
        """
        try:
            theirs = read_config(state)
        except ValueError:
            return
        for option in self.shapeless:
            if theirs.get(option, self.config[option]) != self.config[option]:
                raise InputError(
                    f"the checkpoint was made with {option}: {theirs[option]}, this network has"
                    f" {option}: {self.config[option]}; set the option to the checkpoint's"
                )


class Level(nn.Sequential):
    """Blocks in sequence, (b, c, h, w) -> (b, c, h, w).

    Args:
        blocks: the blocks.
        activation_checkpointing: recompute each block in the backward pass instead of keeping
            its activations.
    Source: Chen et al., Training Deep Nets with Sublinear Memory Cost, arXiv 1604.06174.
    """

    def __init__(self, *blocks: nn.Module, activation_checkpointing: bool):
        super().__init__(*blocks)
        self.activation_checkpointing = activation_checkpointing

    def forward(self, input: Tensor) -> Tensor:
        """(b, c, h, w) -> (b, c, h, w)"""
        x = input
        for block in self:
            if self.activation_checkpointing and torch.is_grad_enabled():
                # blocks draw no random numbers: there is no generator state to restore
                x = checkpoint(block, x, use_reentrant=False, preserve_rng_state=False)
            else:
                x = block(x)
        return x


class Down(nn.Sequential):
    """(b, c, h, w) -> (b, 2c, h/2, w/2): 3x3 conv to half the channels, pixel-unshuffle."""

    def __init__(self, channels: int):
        super().__init__(DenseConv(channels, channels // 2), PixelUnshuffle(2))


class Up(nn.Sequential):
    """(b, c, h, w) -> (b, c/2, 2h, 2w): 3x3 conv to twice the channels, pixel-shuffle."""

    def __init__(self, channels: int):
        super().__init__(DenseConv(channels, 2 * channels), PixelShuffle(2))


def write_config(config: dict[str, Any]) -> Tensor:
    """A configuration as JSON in a uint8 tensor, which every checkpoint format can hold."""
    return torch.tensor(list(json.dumps(config).encode()), dtype=torch.uint8)


def read_config(state: Tensor) -> dict[str, Any]:
    """Read what ``write_config`` wrote, whatever dtype the tensor has been cast to since.

    Raises: ValueError: the text is damaged, for example by averaging two files.
    """
    numbers = torch.as_tensor(state).detach().double().flatten()
    whole = numbers.round()
    if len(whole) > MAX_CONFIG_LENGTH or not ((numbers - whole).abs() < 0.4).all():
        raise ValueError("the configuration is damaged")
    if not ((whole >= 0) & (whole < 256)).all():
        raise ValueError("the configuration is damaged")
    try:
        config = json.loads(bytes(whole.byte().tolist()))
    except RecursionError as error:
        raise ValueError("the configuration is damaged") from error
    if not isinstance(config, dict):
        raise ValueError("the configuration is damaged")
    return config


def _check_sizes(num_blocks: Sequence[int], num_refinement_blocks: int, *channels: int) -> None:
    """Raise ValueError for impossible numbers of blocks or in_channels, out_channels and dim."""
    depths = [*num_blocks, num_refinement_blocks]
    if not 3 <= len(depths) <= 5 or not all(isinstance(n, int) and n >= 0 for n in depths):
        raise ValueError(
            f"num_blocks is {list(num_blocks)} and num_refinement_blocks {num_refinement_blocks}:"
            " they must be two to four numbers of blocks, and a single one"
        )
    for name, number in zip(("in_channels", "out_channels", "dim"), channels, strict=True):
        if not isinstance(number, int) or number < 1:
            raise ValueError(f"{name} is {number!r}; it must be a whole number >= 1")
    if channels[-1] % 2:
        raise ValueError(f"dim is {channels[-1]}; it must be even, since it is halved")
