"""The log of a run: BasicSR's, in a file of its own, with what other ranks warn of."""

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from basicsr.utils import get_env_info, get_root_logger, get_time_str, logger as host_logger
from basicsr.utils.options import dict2str


def start_log(opt: dict[str, Any], kind: str, remarks: Sequence[str] = ()) -> logging.Logger:
    """BasicSR's logger, writing to a file of this run.

    Each process other than rank 0 writes its warnings and errors, if any, to its own file; its
    errors name its rank.
    """
    host_logger.initialized_logger.pop("basicsr", None)  # the checks may have started it
    log = logging.getLogger("basicsr")
    for handler in log.handlers[:]:
        log.removeHandler(handler)
        with contextlib.suppress(OSError):  # the disk was full
            handler.close()
    path = Path(opt["path"]["log"], f"{kind}_{opt['name']}_{get_time_str()}.log")
    while path.exists():  # a run of the same second, which BasicSR would overwrite
        path = path.with_stem(f"{path.stem}_")
    log = get_root_logger(log_file=str(path))
    if opt["rank"]:
        _log_warnings(log, opt["rank"], str(path.with_stem(f"{path.stem}_rank{opt['rank']}")))
    for handler in log.handlers:
        if isinstance(handler, logging.FileHandler):  # no traceback per line on a full disk
            handler.handleError = lambda record: None
    ours = logging.getLogger("vmambair_arch")  # logs which backend of the scans was chosen
    ours.handlers = list(log.handlers)
    ours.setLevel(log.level)
    if opt["rank"] == 0:
        log.info(get_env_info())
        log.info(dict2str(opt))
        for note in [*getattr(opt, "notes", ()), *remarks]:
            log.warning(note)
    return log


def _log_warnings(log: logging.Logger, rank: int, path: str) -> None:
    """Log warnings to a file, created by the first of them, and errors also to the terminal."""
    warnings = logging.FileHandler(path, delay=True)
    for handler in log.handlers:
        handler.setLevel(logging.ERROR)
    log.addHandler(warnings)
    log.setLevel(logging.WARNING)
    for handler in log.handlers:
        handler.setFormatter(
            logging.Formatter(f"%(asctime)s %(levelname)s: rank {rank}: %(message)s")
        )
