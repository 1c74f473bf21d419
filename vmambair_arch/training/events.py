"""Events: a TensorBoard writer that survives a full disk."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from basicsr.utils import logger as host_logger

from ..errors import InputError


class Events:
    """Passes every call on to a SummaryWriter; events that cannot be written are logged and lost.

    The next call then tries a new file.

    Args:
        folder: of the event files.
        iteration: where training resumes; later events are purged.
    """

    def __init__(self, folder: Path, iteration: int):
        self._folder, self._iteration = folder, iteration
        self._writer: Any = None
        self._failed = False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            try:
                result = getattr(self._open(), name)(*args, **kwargs)
            except OSError as error:
                self._writer = None
                if not self._failed:
                    log = logging.getLogger("basicsr")
                    log.error(f"TensorBoard events cannot be written ({error}); these are lost")
                self._failed = True
                return None
            self._failed = False
            return result

        return call

    def _open(self) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter  # slow to import

            purge = self._iteration + 1 if self._iteration else None
            self._writer = SummaryWriter(str(self._folder), purge_step=purge)
        return self._writer


def open_events(opt: dict[str, Any], iteration: int) -> Events | None:
    """The events of an experiment, or None if the options ask for none.

    Raises: InputError: tensorboard is not installed.
    """
    if not opt["logger"]["use_tb_logger"] or "debug" in opt["name"] or opt["rank"] != 0:
        return None
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise InputError(
            "logger.use_tb_logger needs tensorboard: pip install tensorboard, or set it to false"
        ) from error
    wandb = opt["logger"].get("wandb") or {}
    if wandb.get("project") is not None:
        host_logger.init_wandb_logger(opt)
    return Events(Path(opt["path"]["experiments_root"], "tb_logger"), iteration)
