"""Events: a TensorBoard writer that survives a full disk."""

import importlib
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


def check(opt: dict[str, Any]) -> None:
    """Check that the packages are there to which an experiment reports.

    Raises: InputError: tensorboard or wandb is not installed.
    """
    if not _wanted(opt):
        return
    try:
        import tensorboard  # noqa: F401
    except ImportError as error:
        raise InputError(
            "logger.use_tb_logger needs tensorboard: pip install tensorboard, or set it to false"
        ) from error
    if _wandb_project(opt) is None:
        return
    try:
        importlib.import_module("wandb.sdk")  # wandb itself may be the folder that it writes
    except ImportError as error:
        raise InputError(
            "logger.wandb.project needs wandb: pip install wandb, or leave project empty (~)"
        ) from error


def open_events(opt: dict[str, Any], iteration: int) -> Events | None:
    """The events of an experiment, which has passed ``check``; None if it asks for none."""
    if not _wanted(opt):
        return None
    if _wandb_project(opt) is not None:
        host_logger.init_wandb_logger(opt)
    return Events(Path(opt["path"]["experiments_root"], "tb_logger"), iteration)


def _wanted(opt: dict[str, Any]) -> bool:
    """Whether this process writes events."""
    return opt["logger"]["use_tb_logger"] and "debug" not in opt["name"] and opt["rank"] == 0


def _wandb_project(opt: dict[str, Any]) -> str | None:
    return (opt["logger"].get("wandb") or {}).get("project")
