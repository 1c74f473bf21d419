"""Networks on the Hugging Face Hub: their files, downloaded once and kept in its cache."""

import logging
import re
from pathlib import Path
from typing import Any

from ..errors import InputError, shortened

PREFIX = "hf:"
FILE = "model.safetensors"  # what ``vmambair push`` calls it
SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
# user/name[@revision][/file]; a revision is a commit, a tag or a branch, without a slash
ADDRESS = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w.-]+))?(/(?P<file>.+))?")

logger = logging.getLogger("vmambair_arch")


def download(address: str) -> Path:
    """The file of a network on the hub, from the cache if it lies there.

    HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE are heeded, as by the hub's other programs.

    Args:
        address: user/name[@revision][/file], with or without hf: before it; without a file
            model.safetensors, or the only file of weights that there is.
    Raises: InputError: huggingface_hub is not installed, there is no such network, or the hub
        cannot be reached and it is not in the cache.
    """
    address = address.removeprefix(PREFIX)
    parts = ADDRESS.fullmatch(address)
    if parts is None:
        raise InputError(
            f"{PREFIX}{address}: is no address; give hf:user/name, hf:user/name@revision or"
            " hf:user/name/file"
        )
    repo, revision, file = parts["repo"], parts["revision"], parts["file"]
    hub = library()
    try:
        path = Path(_download(hub, repo, revision, file))
    except Exception as error:  # the hub's client, and whatever it talks through, have many
        raise _refused(error, f"{PREFIX}{address}", hub) from error
    commit = path.as_posix().partition("/snapshots/")[2].partition("/")[0]
    if revision is None and commit:
        logger.info(f"{PREFIX}{repo} is at {commit}; {PREFIX}{repo}@{commit} stays that")
    return path


def library() -> Any:
    """The package huggingface_hub. Raises: InputError: it is not installed."""
    try:
        import huggingface_hub
        import huggingface_hub.errors
    except ModuleNotFoundError as error:
        raise InputError(
            "the hub needs huggingface_hub; pip install 'vmambair-arch[hub]'"
        ) from error
    return huggingface_hub


def _download(hub: Any, repo: str, revision: str | None, file: str | None) -> str:
    fetch = {"repo_id": repo, "revision": revision}
    if file is not None:
        return hub.hf_hub_download(filename=file, **fetch)
    try:
        return hub.hf_hub_download(filename=FILE, **fetch)
    except hub.errors.LocalEntryNotFoundError:
        raise
    except hub.errors.EntryNotFoundError:
        names = [n for n in hub.HfApi().list_repo_files(**fetch) if n.endswith(SUFFIXES)]
    if len(names) != 1:
        listed = f"one of {', '.join(names)}" if names else "another: it holds no weights"
        raise InputError(f"{PREFIX}{repo}: has no {FILE}; give {listed} (hf:{repo}/FILE)")
    return hub.hf_hub_download(filename=names[0], **fetch)


def _refused(error: Exception, address: str, hub: Any) -> InputError:
    """What the hub said, in a sentence."""
    errors = hub.errors
    if isinstance(error, InputError):
        return error
    if isinstance(error, errors.LocalEntryNotFoundError):
        reason = "is not in the cache, and the hub cannot be reached; connect, or give a file"
    elif isinstance(error, errors.GatedRepoError):
        reason = "its author lets in who has agreed; do so on its page, and run hf auth login"
    elif isinstance(error, errors.RepositoryNotFoundError):
        reason = "there is no such repository, or it is private: hf auth login"
    elif isinstance(error, errors.RevisionNotFoundError):
        reason = "there is no such revision; give a commit, a tag or a branch"
    elif isinstance(error, errors.EntryNotFoundError):
        reason = "there is no such file in the repository; correct its name"
    else:
        reason = (
            f"the hub gives no answer that helps: {shortened(error)}; try again, or give a file"
        )
    return InputError(f"{address}: {reason}")
