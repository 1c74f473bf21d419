"""Networks' files: read without running code, and what is written of a network."""

from pathlib import Path

from basicsr.utils import get_root_logger
from torch import Tensor, nn

from .. import checkpoints


def load(net: nn.Module, path: str, *, strict: bool, key: str | None) -> None:
    """Load a .pth or .safetensors file, ours or a released one, without executing any of it.

    Args:
        net: the network, not wrapped.
        path: the file.
        strict: whether every tensor must fit; otherwise those that fit are loaded.
        key: "params" or "params_ema", where the file has both.
    Raises: InputError: the file cannot be read or does not fit the network.
    """
    logger = get_root_logger()
    state = checkpoints.read_weights(Path(path), net, key)
    left_out = checkpoints.load_weights(net, state, path, strict=strict)
    logger.info(f"{type(net).__name__} loaded from {path}")
    if left_out:
        logger.warning(left_out)


def tensors(net: nn.Module) -> dict[str, Tensor]:
    """A state dict on the CPU, without the prefixes that wrappers add."""
    state = {}
    for name, tensor in net.state_dict().items():
        while name.startswith(checkpoints.PREFIXES):
            name = name.split(".", 1)[1]
        state[name] = tensor.detach().cpu()
    return state
