"""Randomly mutated option files: each passes and runs, or gets an error that says where."""

import random
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from basicsr.data import build_dataloader, build_dataset

from support import OPTIONS
from vmambair_arch.errors import InputError
from vmambair_arch.option_files import check, options, yaml_lines, yaml_values
from vmambair_arch.training import pipeline

SEED = 20240
SHIPPED = sorted(OPTIONS.glob("*.yml"))
WRONG = [
    None,
    True,
    False,
    "",
    "text",
    "çé漢字 \U0001f600",
    "a: b",
    "\x00\x1b[0m",
    "../..",
    "{}{}{",
    "x" * 5000,
    "~nobody/x",
    "__import__('os').abort()",
    0,
    -1,
    -1e9,
    1e9,
    10**12,
    10**40,
    1e308,
    -1e308,
    float("inf"),
    float("nan"),
    0.5,
    3,
    7,
    [],
    {},
    [[]],
    {"a": 1},
    [1, 2, 3, 4],
    ["a", None],
]
Keys = tuple[Any, ...]
PLACED = re.compile(r"mutant\.yml:(\d+): (.+?): ")


def every(value: Any, keys: Keys = ()) -> Iterator[Keys]:
    """The keys of every value below."""
    items = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, item in items:
        yield (*keys, key)
        yield from every(item, (*keys, key))


def at(value: Any, keys: Keys) -> Any:
    for key in keys:
        value = value[key]
    return value


def misspell(opt: dict, keys: Keys, rng: random.Random) -> None:
    parent, key = at(opt, keys[:-1]), str(keys[-1])
    if isinstance(parent, list):
        parent.pop(keys[-1])
        return
    letters = list(key)
    place = rng.randrange(len(letters))
    letters[place] = rng.choice(["", "x", "é", letters[place] * 2, letters[place].upper(), "-"])
    value = parent.pop(key)
    parent["".join(letters) or "x"] = value


def drop(opt: dict, keys: Keys, rng: random.Random) -> None:
    at(opt, keys[:-1]).pop(keys[-1])


def replace(opt: dict, keys: Keys, rng: random.Random) -> None:
    at(opt, keys[:-1])[keys[-1]] = deepcopy(rng.choice(WRONG))


def retype(opt: dict, keys: Keys, rng: random.Random) -> None:
    """The same value as another type."""
    parent, value = at(opt, keys[:-1]), at(opt, keys)
    guises: list[Callable] = [str, lambda v: [v], lambda v: {"value": v}, lambda v: [v, v], repr]
    parent[keys[-1]] = rng.choice(guises)(deepcopy(value))


def scale(opt: dict, keys: Keys, rng: random.Random) -> None:
    value = at(opt, keys)
    if isinstance(value, int | float) and not isinstance(value, bool):
        factor = rng.choice([-1, 0, 0.5, 2, 3, 1.5, 1000, 1e6, 1e15])
        at(opt, keys[:-1])[keys[-1]] = type(value)(value * factor)
    else:
        replace(opt, keys, rng)


def move(opt: dict, keys: Keys, rng: random.Random) -> None:
    """A key into another mapping."""
    homes = [
        k for k in [(), *every(opt)] if isinstance(at(opt, k), dict) and k[: len(keys)] != keys
    ]
    home = at(opt, rng.choice(homes))
    value = at(opt, keys[:-1]).pop(keys[-1])
    home[str(keys[-1])] = value


def swap(opt: dict, keys: Keys, rng: random.Random) -> None:
    """Another value of the same file."""
    at(opt, keys[:-1])[keys[-1]] = deepcopy(at(opt, rng.choice(list(every(opt)))))


MUTATIONS = [misspell, drop, replace, replace, retype, scale, scale, move, swap]


def spoil_text(text: str, rng: random.Random) -> str:
    """Change the text itself: lines cut, indented, doubled, characters inserted."""
    lines = text.splitlines()
    number = rng.randrange(len(lines))
    line = lines[number]
    place = rng.randrange(len(line) + 1)
    insert = rng.choice(
        ["\t", ":", "[", "{", "'", '"', "- ", "&a ", "*a ", "!!x ", "#", "\x07", "é", "? "]
    )
    lines[number] = rng.choice(
        [
            line[:place] + insert + line[place:],
            "  " + line,
            line.strip(),
            line + "\n" + line,
            line[:place],
        ]
    )
    return "\n".join(lines if rng.random() < 0.9 else lines[: number + 1])


def mutants(count: int, seed: int) -> Iterator[tuple[str, bool, Keys | None, str]]:
    """Text, whether it trains, the key that was changed (if any), the mutation's name."""
    rng = random.Random(seed)
    texts = {path: path.read_text() for path in SHIPPED}
    for _ in range(count):
        path = rng.choice(SHIPPED)
        trains = not path.stem.startswith("test")
        if rng.random() < 0.15:
            yield spoil_text(texts[path], rng), trains, None, "spoil_text"
            continue
        opt = yaml.load(texts[path], yaml_values.Loader)
        keys = rng.choice(list(every(opt)))
        mutation = rng.choice(MUTATIONS)
        mutation(opt, keys, rng)
        unicode = rng.random() < 0.5
        text = yaml.dump(opt, Dumper=yaml.CSafeDumper, allow_unicode=unicode, sort_keys=False)
        yield text, trains, keys, mutation.__name__


def bill(text: str, trains: bool) -> tuple[yaml_lines.OptionFile | None, list[str]]:
    """The file, if it passes the check, else its problems."""
    try:
        file = yaml_lines.parse(text, "mutant.yml")
    except InputError as error:
        return None, [str(error)]
    problems = check.check(file, is_train=trains).problems
    return None if problems else file, problems


def assert_placed(text: str, keys: Keys | None, problems: list[str]) -> None:
    """Each error names an existing line, and one of them the key that was changed."""
    for problem in problems:
        if problem == "mutant.yml: holds no options; expected `key: value` lines":
            return
        place = PLACED.match(problem)
        assert place and 1 <= int(place[1]) <= text.count("\n") + 2, problem
        assert "\n" not in problem and len(problem) < 2000, problem
    names = [str(key) for key in keys or ()]
    if names and "broken YAML" not in problems[0]:
        assert any(name in problem for problem in problems for name in names), (keys, problems)


def run(count: int, built: int, seed: int, pairs: Path) -> Counter:
    """Check mutants, and build and step some of those that pass; prints the counts."""
    counts: Counter = Counter()
    slowest, clean = 0.0, []
    for text, trains, keys, mutation in mutants(count, seed):
        start = time.process_time()
        file, problems = bill(text, trains)
        slowest = max(slowest, time.process_time() - start)
        counts["clean" if file else "refused"] += 1
        if not file:
            assert_placed(text, keys, problems)
        elif plain(file.options):
            clean.append((text, trains, mutation))
    rng = random.Random(seed)
    for text, trains, mutation in rng.sample(clean, built):
        step(text, trains, pairs)
        counts[f"built after {mutation}"] += 1
    print(f"\nseed {seed}: {count} files, {dict(counts)}, slowest {slowest:.2f} s of processor")
    return counts


SMALL = {"dim": 8, "d_state": 2, "channel_scan_width": 4}  # of VmambaIR
PATCH = 8  # pixels a side of a low-quality patch; windows are not larger
SHALLOW = {
    **{"num_blocks": 1, "num_refinement_blocks": 1, "num_block": 1, "depths": 1},
    "window_size": PATCH,
}
LIMITS = {"batch_size_per_gpu": 2, "num_worker_per_gpu": 0, "dataset_enlarge_ratio": 10}


def shrink(section: dict[str, Any], limits: dict[str, float]) -> None:
    """Reduce the sizes of a section to what a test can afford; types stay."""
    for key, most in limits.items():
        if isinstance(section.get(key), list):
            section[key] = [min(item, most) for item in section[key]]
        elif section.get(key) is not None:
            section[key] = min(section[key], most)


def plain(opt: dict[str, Any]) -> bool:
    """Whether a file needs only pairs: no weights to download, no data made on the fly."""
    types = {data_set["type"] for data_set in opt["datasets"].values()}
    perceptual = (opt.get("train") or {}).get("perceptual_opt")
    paired = types <= {"PairedImageDataset", "BicubicImageDataset"}
    metrics = ((opt.get("val") or {}).get("metrics") or {}).values()
    known = all(metric["type"] in ("calculate_psnr", "calculate_ssim") for metric in metrics)
    return paired and known and opt.get("scale") == 4 and not perceptual  # as the pairs are


def small(text: str, trains: bool, pairs: Path) -> dict[str, Any]:
    """A file's options with sizes that a test can afford and existing data."""
    Path("mutant.yml").write_text(text)
    opt = options.read("mutant.yml", is_train=trains, overrides=["num_gpu=0"])
    shrink(opt["network_g"], SHALLOW | (SMALL if opt["network_g"]["type"] == "VmambaIR" else {}))
    for metric in (opt.get("val", {}).get("metrics") or {}).values():
        shrink(metric, {"crop_border": 4})
    opt["path"].pop("pretrain_network_g", None)
    for data_set in opt["datasets"].values():
        shrink(data_set, LIMITS)
        if data_set.get("gt_size"):
            data_set["gt_size"] = PATCH * opt["scale"]
        data_set.update(dataroot_gt=str(pairs / "gt"), filename_tmpl="{}", meta_info_file=None)
        data_set.pop("images", None)
        if "dataroot_lq" in data_set:
            data_set["dataroot_lq"] = str(pairs / "lq")
    return opt


def step(text: str, trains: bool, pairs: Path) -> None:
    """Build what a file describes, and run a step and a validation."""
    opt = small(text, trains, pairs)
    model = pipeline.build_model(opt)
    for section, data_set in opt["datasets"].items():
        training = section.startswith("train")
        images = build_dataset(data_set)
        images.paths = images.paths[: 2 if training else 1]
        loader = build_dataloader(images, data_set, opt["num_gpu"])
        if training and trains:
            model.update_learning_rate(1, opt["train"].get("warmup_iter", -1))
            model.train_on([next(iter(loader))], 1)
        elif not training and opt.get("val"):
            model.validation(loader, 1, None, False)
            break


def test_mutated_option_files_are_refused_with_a_place_or_run(pairs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    counts = run(200, 6, SEED, pairs)
    assert counts["clean"] + counts["refused"] == 200
    assert counts["clean"] > 10


@pytest.mark.long
def test_many_mutated_option_files_are_refused_with_a_place_or_run(pairs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    counts = run(20_000, 200, SEED + 1, pairs)
    assert counts["clean"] + counts["refused"] == 20_000
