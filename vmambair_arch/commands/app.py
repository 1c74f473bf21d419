"""vmambair app: its arguments, and the server that it starts."""

import argparse
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import InputError
from ..system import terminal
from . import computing, plugins

if TYPE_CHECKING:
    from ..app.networks import Networks
    from ..restoring import Restorer
    from ..restoring.chain import Chain

HOST = "127.0.0.1"
PORT = 7860


def add(commands) -> None:
    """Add the command to those of a parser."""
    description = "restore and compare pictures in the browser, on this machine"
    command = commands.add_parser(
        "app",
        help=description,
        description=f"{description}. Drop pictures on the page; downloads are the files that"
        " vmambair restore writes. Only this machine can reach the page, and only with the printed"
        " address. Ctrl-C ends the command and removes the pictures.",
    )
    add = command.add_argument
    model = "a model as for vmambair restore, to choose on the page besides the bundled networks"
    model += " and those in the cache folder; repeatable, the first is the default"
    add("-m", "--model", action="append", default=[], metavar="MODEL", help=model)
    plugins.add_argument(command)
    add("--port", type=int, default=PORT, metavar="N", help=f"0: a free one (default: {PORT})")
    add("--host", default=HOST, help=f"listen to other machines too (default: {HOST})")
    add("--no-browser", action="store_true", help="do not open a browser")
    token = "let in anyone who can reach the port, including every user of this machine"
    add("--no-token", action="store_true", help=token)
    limit = "refuse larger pictures (default: 256)"
    add("--max-megapixels", type=float, default=256, metavar="N", help=limit)
    keep = "limit for waiting pictures, and for restored ones: the newest are kept (default: 2)"
    add("--keep", type=float, default=2, metavar="GB", help=keep)
    computing.add_arguments(command.add_argument_group("computing"))
    command.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> int:
    """Serve, and return the exit code."""
    try:
        _serve(arguments)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    return 0


def _serve(arguments: argparse.Namespace) -> None:
    try:
        from ..app import serving  # needs the packages of the extra "app"
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        raise InputError(f"app needs {package}; pip install 'vmambair-arch[app]'") from error
    from ..app.access import new_token
    from ..restoring.option_checks import check_strength

    bounds = {"port": (0, 65535), "threads": (1, computing.MOST_THREADS)}
    computing.check_bounds(arguments, **bounds, max_megapixels=(0, None), keep=(0, None))
    check_strength(arguments.strength)
    computing.take_threads(arguments)
    with serving.listen(arguments.host, arguments.port) as listener:  # before the network loads
        networks = _networks(arguments)
        token = None if arguments.no_token else new_token()
        _warn_if_open(arguments.host, token)
        address = serving.address(listener, arguments.host, token)
        terminal.say(f"{address} (Ctrl-C ends it)")
        serving.serve(
            listener,
            networks,
            host=arguments.host,
            token=token,
            browser=not arguments.no_browser,
            max_megapixels=arguments.max_megapixels,
            keep=arguments.keep * 1e9,
            strength=arguments.strength,
        )


def _networks(arguments: argparse.Namespace) -> "Networks":
    """The networks to choose from; those given are loaded once, so that none fails later."""
    from ..app.networks import Networks
    from ..restoring import chain
    from .networks import resolved

    options = {**computing.restorer_options(arguments), "strength": 1}  # blended in per request

    def build(models: Sequence[str]) -> "Restorer | Chain":
        return chain.load([resolved(model, arguments.plugin) for model in models], **options)

    return Networks(arguments.model, build)


def _warn_if_open(host: str, token: str | None) -> None:
    """Warn if other machines can reach the page."""
    from ..app.same_origin import is_local

    if not is_local(host):
        who = "intercepts the unencrypted address" if token else "reaches it"
        terminal.warn(
            f"{host} is open to other machines, and anyone who {who} can see and restore pictures"
        )
