"""Check and measure everything on a GPU within eight minutes: ``make gpu``.

    python experiments/gpu/run.py [--device cuda] [--only PART ...] [--minutes 8] [--output FOLDER]

Each part runs in a process of its own with a limit of its own, and what it has found until then is
kept: the parts that tell most come first, and results.json is written after each of them. Nothing
is downloaded. On a CPU (--device cpu) the same parts run on small sizes, to test this script.
"""

import argparse
import importlib
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]

PARTS = {  # seconds that each may take
    "correctness": 90,
    "layouts": 30,
    "scans": 90,
    "networks": 85,
    "trainings": 85,
    "precisions": 35,
    "restoring": 45,
}
MARK = "RESULT "  # begins a line of a part's output that is a result, in JSON


def run(
    device: str, parts: list[str], minutes: float, output: Path, limits: dict[str, float] = PARTS
) -> list[dict]:
    """Run the parts one after the other; write results.json and table.txt, and return the results.

    What the two files have of parts of which nothing is found stays there, if it was found on the
    same machine.

    Args:
        device: "cuda", "cuda:1", ... or "cpu".
        parts: names of PARTS, in the order in which they run.
        minutes: after which no part runs any more.
        output: the folder to write to; made if missing.
        limits: seconds of each part.
    """
    deadline = time.monotonic() + 60 * minutes
    results: list[dict] = []
    output.mkdir(parents=True, exist_ok=True)
    about = {"device": device, "machine": facts()}
    every = before(output, about)
    for part in parts:
        seconds = min(limits[part], deadline - time.monotonic())
        found, ended = (
            ([], "no time is left") if seconds <= 0 else in_a_process(part, device, seconds)
        )
        new = [{"part": part, **result} for result in found]
        if ended:
            new.append({"part": part, "name": "the part itself", "value": None, "note": ended})
        results += new
        kept = [r for r in every if r["part"] != part or (r["value"] is not None and not found)]
        every = sorted([*kept, *new], key=lambda result: list(PARTS).index(result["part"]))
        (output / "results.json").write_text(
            json.dumps({**about, "results": every}, indent=1) + "\n"
        )
        (output / "table.txt").write_text(table(every))
    return results


def before(output: Path, about: dict) -> list[dict]:
    """The results of an earlier run on the same machine, from its results.json."""
    file = output / "results.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    same = all(found.get(key) == value for key, value in about.items())
    return found["results"] if same else []


def in_a_process(part: str, device: str, seconds: float) -> tuple[list[dict], str]:
    """What a part finds, and why it ended early, if it did."""
    command = [sys.executable, str(Path(__file__)), "--part", part, "--device", device]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True)
    timer = threading.Timer(seconds, process.kill)
    timer.start()
    found, said = [], []
    assert process.stdout
    for line in process.stdout:
        if line.startswith(MARK):
            found.append(json.loads(line.removeprefix(MARK)))
            print(row({"part": part, **found[-1]}), flush=True)
        elif line.strip():
            said.append(line.strip())
    code = process.wait()
    in_time = timer.is_alive()
    timer.cancel()
    if not in_time:
        return found, f"its {seconds:.0f} s were over; what follows was not measured"
    return found, f"it failed: {said[-1] if said else code}" if code else ""


def one_part(part: str, device: str) -> None:
    """Run a part in this process, and print each result as it comes."""
    for result in importlib.import_module(f"parts.{part}").results(device):
        print(MARK + json.dumps(result), flush=True)


def facts() -> dict:
    """The machine."""
    from vmambair_arch.system import machine

    return machine.facts()


def table(results: list[dict]) -> str:
    """All results, a line each."""
    head = f"{'part':12} {'what':58} {'found':>12} {'predicted':>22}  note"
    return "\n".join([head, *map(row, results)]) + "\n"


def row(result: dict) -> str:
    """A line of the table."""
    value = result["value"]
    found = f"{value:.4g}" if isinstance(value, float) else "-" if value is None else str(value)
    found = f"{found} {result.get('unit', '')}".strip()
    predicted, note = result.get("predicted", ""), result.get("note", "")
    return f"{result['part']:12} {result['name']:58} {found:>12} {predicted!s:>22}  {note}".rstrip()


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument("--output", type=Path, default=HERE)
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        one_part(arguments.part, arguments.device)
        return 0
    import torch

    if arguments.device != "cpu" and not torch.cuda.is_available():
        print(
            "torch finds no NVIDIA GPU here; --device cpu tests the script itself", file=sys.stderr
        )
        return 2
    results = run(arguments.device, arguments.only, arguments.minutes, arguments.output)
    print(table(results))
    return int(any(result.get("wrong") for result in results))


if __name__ == "__main__":
    raise SystemExit(main())
