"""vmambair push: uploads a network to the Hugging Face Hub, as safetensors with a model card."""

import argparse
import dataclasses
import tempfile
from pathlib import Path

from .. import checkpoints
from ..checkpoints import hub
from ..errors import InputError, shortened
from ..restoring import models
from ..system import terminal
from .card import arguments as card


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "upload a network to the Hugging Face Hub, with its model card"
    command = commands.add_parser(
        "push",
        help=description,
        description=f"{description}: model.safetensors and README.md. Log in first with"
        " hf auth login or HF_TOKEN. VmambaIR.from_pretrained and -m hf:USER/NAME load it.",
    )
    add = command.add_argument
    add("model", metavar="MODEL", help=".pth, .safetensors or a network's name")
    add("repository", metavar="USER/NAME", help="created if it does not exist")
    add("--private", action="store_true", help="create it as a private repository")
    card.add_facts(command)
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    from .card import formats
    from .card.facts import gather, of_file

    library = hub.import_library()
    with models.file(arguments.model) as file, tempfile.TemporaryDirectory() as folder:
        network = checkpoints.load_network(file)
        given = card.author_facts(arguments)
        facts = gather(file, **given)
        written = Path(folder, hub.FILE)
        metadata = formats.modelspec(facts)
        checkpoints.write_file(written, network.state_dict(), network.config, metadata=metadata)
        facts = dataclasses.replace(facts, **of_file(written))
        page = formats.markdown(facts, hub=arguments.repository)
        Path(folder, "README.md").write_text(page, "utf-8")
        try:
            api = library.HfApi()
            repository = arguments.repository
            api.create_repo(repository, private=arguments.private or None, exist_ok=True)
            if arguments.private and not api.repo_info(repository).private:
                raise InputError(
                    f"{repository}: is a public repository; make it private in its settings, or"
                    " leave out --private"
                )
            commit = api.upload_folder(
                repo_id=repository,
                folder_path=folder,
                commit_message=f"{facts.name}, written by vmambair push",
            )
        except InputError:
            raise
        except Exception as error:  # the hub's client and its transports raise many types
            raise InputError(
                f"{arguments.repository}: the hub does not accept it: {shortened(error)}; check"
                " that you may write there (hf auth login)"
            ) from error
    terminal.say(f"hf:{repository}@{commit.oid}")
    card.say_missing(facts)
