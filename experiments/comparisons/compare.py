"""Train networks from scratch under the same conditions, one after the other, and compare them.

    python experiments/comparisons/compare.py x4 DATA

is `make compare-x4 DATA=DATA`. After an interruption the same command continues without repeating
finished work; with more --seconds every training continues from its last state.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import vmambair_arch.plugin  # noqa: F401  # BasicSR imports only after it
from vmambair_arch.commands.networks import load_plugins
from vmambair_arch.errors import InputError, StoppedError, TrainingError, stopped_code
from vmambair_arch.option_files import yaml_lines
from vmambair_arch.system import signals

from basicsr.utils.registry import ARCH_REGISTRY  # isort: skip

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import outcome  # noqa: E402
import pages  # noqa: E402
import photographs  # noqa: E402
import trainings  # noqa: E402

RIVALS = HERE / "rivals.py"
NEEDED = (  # of a task's file, beside networks: without them a page could not be written
    "options.model_type", "options.scale", "options.datasets.train", "options.datasets.val",
    "options.train.ema_decay", "options.train.optim_g.type", "options.train.optim_g.lr",
    "options.train.pixel_opt.type", "options.val.val_freq", "options.val.metrics.psnr",
    "sub_images", "of", "seeds", "close",
)  # fmt: skip
CUT = {"size", "step", "threshold"}  # the keys of sub_images
VALUES: dict[str, tuple[str, Callable[[Any], bool]]] = {  # what no training checks
    "sub_images": (
        "a size and a step in pixels, {size: 160, step: 120}",
        lambda v: isinstance(v, dict) and v.keys() <= CUT and all(map(_is_whole, v.values())),
    ),
    "seeds": ("a whole number above 0", lambda v: _is_whole(v) and v > 0),
    "close": ("a number of dB, 0 or more", lambda v: _is_number(v) and v >= 0),
    "ablation_share": ("a share of the time, 0 to 1", lambda v: _is_number(v) and 0 <= v <= 1),
    "ablations": (
        "names, each with options of the network",
        lambda v: isinstance(v, dict) and all(isinstance(each, dict) for each in v.values()),
    ),
}


def main(argv: list[str] | None = None) -> int:
    """Compare, and return the exit code."""
    arguments = parser().parse_args(argv)
    torch.set_num_threads(1)
    try:
        with signals.sigterm_as_exception():
            run(
                arguments.task,
                arguments.data,
                seconds=arguments.seconds,
                output=arguments.output,
                plugins=[str(RIVALS), *arguments.plugin],
            )
    except (InputError, TrainingError) as error:
        print(f"compare: {error}", file=sys.stderr)
        return 2
    except (KeyboardInterrupt, StoppedError) as error:
        if isinstance(error, KeyboardInterrupt):  # outside a training, which reports its own
            print("compare: stopped; the same command continues", file=sys.stderr)
        return stopped_code(error)
    return 0


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    parser = argparse.ArgumentParser("compare", description=__doc__)
    add = parser.add_argument
    add("task", help="x4, derain, sizes, or a file like x4.yml")
    add("data", help=f"a folder with {photographs.LAYOUT}")
    add("--seconds", type=float, default=3600.0, help="of training for each; processor time")
    add("--output", type=Path, help="the folder to write to (default: beside the file)")
    add("--plugin", action="append", default=[], metavar="FILE.py", help="registers a network")
    return parser


def run(
    task: str, data: str, *, seconds: float, output: Path | None = None, plugins: list[str]
) -> None:
    """Train, measure, and write tables and pictures.

    Args:
        task: the name of a .yml file in this folder, or the path of a similar file.
        data: the folder of photographs.
        seconds: per network; ablations train for the iterations of a fraction of it.
        output: the folder to write to; None for one beside the file, with its name.
        plugins: Python files that register networks.
    Raises: InputError: invalid input. StoppedError, TrainingError: as in training.
    """
    path = Path(task) if task.endswith(".yml") else HERE / f"{task}.yml"
    if not path.is_file():
        tasks = ", ".join(sorted(each.stem for each in HERE.glob("*.yml")))
        raise InputError(f"{task}: there is no {path}; give {tasks} or a file like {HERE}/x4.yml")
    file = yaml_lines.load(path)
    contest, output = file.options, output or path.with_suffix("")
    check(file)
    load_plugins(plugins)
    left_out = _leave_out(contest)
    check_networks(file)
    sets = photographs.prepare(data, output / "data", contest)
    runs = trainings.Trainings(contest, sets, output, plugins)
    networks = {name: [runs.train(name, seconds=seconds)] for name in contest["networks"]}
    ablations = ablated(runs, contest, seconds)
    reports = outcome.compare(networks, sets, output, plugins)
    speed = outcome.time(networks, contest, output, plugins)
    found = outcome.Findings(
        contest, seconds, left_out, plugins, networks, ablations, reports, speed
    )
    _publish(found, output)
    if train_further_seeds(runs, found):
        _publish(found, output)


def check(file: yaml_lines.OptionFile) -> None:
    """Raise InputError for what is missing in a task's file, a line each."""
    networks = file.options.get("networks")
    if not isinstance(networks, dict):
        raise InputError(f"{file.where(('networks',))}: give networks, each with its network_g")
    needed = [*NEEDED, *(["ablation_share"] if file.options.get("ablations") else [])]
    places = [tuple(name.split(".")) for name in needed]
    places += [("networks", name, "network_g", "type") for name in networks]
    missing = [place for place in places if not _holds(file.options, place)]
    if missing:
        advice = f"give it as {HERE}/x4.yml does"
        raise InputError(*(f"{file.where(place)}: is missing; {advice}" for place in missing))
    wrong = [
        f"{file.where((key,))} is {file.options[key]!r}; give {wanted}"
        for key, (wanted, is_right) in VALUES.items()
        if file.options.get(key) is not None and not is_right(file.options[key])
    ]
    if wrong:
        raise InputError(*wrong)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, float)


def _holds(options: Any, place: tuple[str, ...]) -> bool:
    for key in place:
        if not isinstance(options, dict) or key not in options:
            return False
        options = options[key]
    return True


def check_networks(file: yaml_lines.OptionFile) -> None:
    """Raise InputError unless there are networks to compare, with ``of`` among them."""
    networks, of = file.options["networks"], file.options["of"]
    folders: dict[str, str] = {}
    for name in networks:
        folder = trainings.folder_name(name).casefold()  # some file systems ignore the case
        other = folders.setdefault(folder, name)
        if other != name:
            raise InputError(
                f"{file.where(('networks', name))}: would be trained in the folder of {other}; give"
                " it a name that differs in letters or digits"
            )
    if of not in networks:
        raise InputError(
            f"{file.where(('of',))} is {of}, which is not among the networks that are registered:"
            f" {', '.join(networks) or 'none'}; name one of them, or give its file (--plugin)"
        )
    if len(networks) < 2:
        raise InputError(f"{file.where(('networks',))}: only {of} is registered; give another too")


def _leave_out(contest: dict[str, Any]) -> list[str]:
    """Remove the networks that nothing has registered; returns their names."""
    networks = contest["networks"]
    missing = [
        n for n, given in networks.items() if given["network_g"]["type"] not in ARCH_REGISTRY
    ]
    for name in missing:
        print(f"compare: {name} is left out: no package registers it; give its file (--plugin)")
        del networks[name]
    return missing


def _publish(found: outcome.Findings, output: Path) -> None:
    """Write the page and its pictures."""
    outcome.draw(found, output)
    pages.write(found, output)
    print(output / "README.md")


def ablated(
    runs: trainings.Trainings, contest: dict[str, Any], seconds: float
) -> dict[str, list[trainings.Trained]]:
    """Train every ablation for the iterations that the network did in a fraction of its time."""
    if not contest.get("ablations"):
        return {}
    base = runs.train(contest["of"], seconds=seconds)
    early = [row for row in base.rows if row["seconds"] <= contest["ablation_share"] * seconds]
    until = (early or base.rows)[-1 if early else 0]["iter"]
    found = {contest["of"]: [base.at(until)]}
    for name, options in contest["ablations"].items():
        found[name] = [runs.train(name, options=options, iterations=until)]
    return found


def train_further_seeds(runs: trainings.Trainings, found: outcome.Findings) -> bool:
    """Train what is close to another with further seeds; returns whether anything is."""
    contest, networks, ablations = found.contest, found.networks, found.ablations
    seeds, trained_more = range(1, contest["seeds"]), False
    while seeds:  # what others with more seeds have come close to
        again = trainings.close(ablations, contest["close"], to=contest["of"])
        close = trainings.close(networks, contest["close"])
        if not again and not close:
            break
        trained_more = True
        for name in again:
            options, until = contest["ablations"].get(name, {}), ablations[name][0].rows[-1]["iter"]
            ablations[name] += [
                runs.train(name, options=options, seed=seed, iterations=until) for seed in seeds
            ]
        for name in close:
            networks[name] += [runs.train(name, seed=seed, seconds=found.seconds) for seed in seeds]
    return trained_more


if __name__ == "__main__":
    sys.exit(main())
