"""Networks on the Hugging Face Hub: files are downloaded once and kept in its cache."""

import logging
import re
from pathlib import Path
from typing import Any

from ..errors import InputError, shortened

PREFIX = "hf:"
FILE = "model.safetensors"  # the name that ``vmambair push`` uses
SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
# user/name[@revision][/file]; only a revision like refs/pr/1 has slashes here
ADDRESS = re.compile(
    r"(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>refs/\w+/[\w.-]+|[\w.-]+))?(/(?P<file>.+))?"
)

logger = logging.getLogger("vmambair_arch")


def download(address: str, *, revision: str | None = None, file: str | None = None) -> Path:
    """The file of a network on the hub, from the cache if it is there.

    HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE are respected, as in the hub's other programs.

    Args:
        address: user/name[@revision][/file], with or without hf: before it; by default the file is
            model.safetensors, or the only file of weights.
        revision, file: instead of those in the address; a branch's name may have slashes here.
    Raises: InputError: huggingface_hub is not installed, there is no such network, or the hub
        cannot be reached and it is not in the cache.
    """
    address = address.removeprefix(PREFIX)
    parts = ADDRESS.fullmatch(address)
    if parts is None:
        raise InputError(
            f"{PREFIX}{address}: is not an address; give hf:user/name, hf:user/name@revision or"
            " hf:user/name/file"
        )
    repo, revision, file = parts["repo"], revision or parts["revision"], file or parts["file"]
    hub = import_library()
    try:
        path = Path(_download(hub, repo, revision, file))
    except Exception as error:  # the hub's client and its transports raise many kinds
        address = repo + (f"@{revision}" if revision else "") + (f"/{file}" if file else "")
        raise _refused(error, f"{PREFIX}{address}", hub) from error
    commit = path.as_posix().partition("/snapshots/")[2].partition("/")[0]
    if revision is None and commit:
        logger.info(f"{PREFIX}{repo} is at {commit}; {PREFIX}{repo}@{commit} will not change")
    return path


def import_library() -> Any:
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
        listed = f"one of {', '.join(names)}" if names else "another: it has no weights"
        raise InputError(f"{PREFIX}{repo}: has no {FILE}; give {listed} (hf:{repo}/FILE)")
    return hub.hf_hub_download(filename=names[0], **fetch)


def _refused(error: Exception, address: str, hub: Any) -> InputError:
    """The hub's error as a sentence."""
    errors = hub.errors
    if isinstance(error, InputError):
        return error
    if isinstance(error, errors.LocalEntryNotFoundError):
        reason = "is not in the cache, and the hub cannot be reached; connect, or give a file"
    elif isinstance(error, errors.GatedRepoError):
        reason = "its author asks you to agree to terms; do so on its page, and run hf auth login"
    elif isinstance(error, errors.RepositoryNotFoundError):
        reason = "there is no such repository, or it is private: hf auth login"
    elif isinstance(error, errors.RevisionNotFoundError):
        reason = "there is no such revision; give a commit, a tag or a branch"
    elif isinstance(error, errors.EntryNotFoundError):
        reason = "there is no such file in the repository; correct its name"
    else:
        reason = f"the hub gives no useful answer: {shortened(error)}; try again, or give a file"
    return InputError(f"{address}: {reason}")
