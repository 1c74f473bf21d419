"""vmambair bench measures correctly, within its limits, and reports what it skipped."""

import json
import mmap
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from vmambair_arch import cli, reporting
from vmambair_arch.commands.bench import cases, measure, report, session
from vmambair_arch.commands.bench.cases import BACKWARD, BOTH, NETWORKS, Case
from vmambair_arch.commands.bench.figures import Figure, evaluate, figures
from vmambair_arch.errors import StoppedError
from vmambair_arch.ops.reference import selective
from vmambair_arch.system import memory
from vmambair_arch.system.allocator import keep_freed_memory

MEBIBYTE = 2**20


def made_up(case: Case, seconds: float | None = None) -> dict:
    """A result like measure's: a microsecond and 64 bytes per pixel."""
    pixels = case.batch * case.size**2
    if seconds is None:
        seconds = pixels * 1e-6 * (1 if case.passes == cases.FORWARD else 3)
    result = {"seconds": seconds, "seconds_min": seconds, "repeats": 1, "peak_by": "made up"}
    result["peak_mib"] = pixels * 64 / MEBIBYTE
    if case.channels:
        result |= {"ns_per_state": 0.2, "extra_to_inputs": 0.3}
    return result


@pytest.fixture
def measured(monkeypatch) -> list[Case]:
    """Replaces measurements by made-up results; the cases in the order of their processes."""
    order: list[Case] = []

    def process(case: Case, device: str) -> dict:
        order.append(case)
        return made_up(case)

    monkeypatch.setattr(session, "_in_a_process", process)
    return order


def read(folder: Path) -> dict:
    return json.loads((folder / "bench.json").read_text())


# A run.


def test_a_full_run_has_every_figure_case_and_file(measured, tmp_path):
    lines = list(session.run([64, 128, 256, 512], tmp_path / "new", device="cpu"))
    found = read(tmp_path / "new")
    told = {figure["name"]: figure for figure in found["details"]["figures"]}
    assert set(told) == {figure.name for figure in figures("cpu")}
    targets = {
        "realsr_x4 forward 64x64 to RRDBNet": (0.50, False),
        "realsr_x4 forward 64x64 to SwinIR classical x4": (0.45, False),
        "realsr_x4 forward 64x64, 2 threads to 1": (0.60, False),
        "realsr_x4 forward 512x512 to 64x64": (72, True),
        "realsr_x4 peak memory 512x512 to 256x256": (4.1, True),
        "realsr_x4 forward and backward to forward, 2 x 64x64": (3.5, True),
    }
    for name, (target, reached) in targets.items():
        assert (told[name]["target"], told[name]["reached"]) == (target, reached)
        assert any(name in line and f"at most {target:g}" in line for line in lines)
    measured_cases = {(c["name"], c["size"], c["passes"]) for c in found["rows"]}
    for name in NETWORKS:
        for size in (64, 128, 256, 512):
            assert {(name, size, cases.FORWARD), (name, size, BOTH)} <= measured_cases
    assert ("planar_scan/reference", 128, cases.FORWARD) not in measured_cases
    assert found["machine"]["cores"] and found["machine"]["versions"]["torch"]
    assert found["command"].startswith("vmambair")
    assert (tmp_path / "new" / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_compared_cases_are_measured_alternately(measured, tmp_path):
    list(session.run([64], tmp_path, device="cpu", only=["realsr_x4", "RRDBNet"]))
    pair = [case for case in measured if case in (Case("RRDBNet"), Case("realsr_x4"))]
    assert pair == [Case("RRDBNet"), Case("realsr_x4")] * session.ROUNDS
    assert measured.count(Case("RRDBNet", passes=BOTH)) == 1  # in no figure


def test_only_takes_names_and_prefixes(measured, tmp_path):
    list(session.run([8], tmp_path, device="cpu", only=["derain", "planar_scan/ref"]))
    assert {case.name for case in measured} == {"derain", "derain_w2", "planar_scan/reference"}


def test_a_bundled_network_with_the_name_of_a_preset_is_measured_itself(measured, tmp_path):
    list(session.run([8], tmp_path, device="cpu", models=["derain"]))
    (name,) = {case.name for case in measured}
    assert name.endswith("weights/derain.safetensors")
    assert sum(p.numel() for p in cases.network(name).parameters()) < 1e6  # the preset: 29 M


def test_cases_that_take_too_long_or_too_much_are_skipped_with_the_reason(
    measured, tmp_path, monkeypatch
):
    monkeypatch.setattr(session, "CASE_SECONDS", 256**2 * 1e-6)
    monkeypatch.setattr(session.memory, "free", lambda device: 128**2 * 64 / session.MEMORY)
    lines = list(session.run([64, 128, 256], tmp_path, device="cpu", only=["RRDBNet"]))
    skipped = {(c["size"], c["passes"]): c["reason"] for c in read(tmp_path)["details"]["skipped"]}
    assert "it would need about 0.0 GiB" in skipped[256, cases.FORWARD]
    assert "it would take about 0 s, and the limit is 0 s" in skipped[256, BOTH]
    assert len(skipped) == 2
    assert sum("skipped: it would" in line for line in lines) == 2


def test_a_run_ends_when_its_time_is_used_up(measured, tmp_path):
    list(session.run([64], tmp_path, device="cpu", only=["RRDBNet"], minutes=1e-9))
    assert measured == []
    reasons = {c["reason"] for c in read(tmp_path)["details"]["skipped"]}
    assert reasons == {"the time for the whole run is used up"}


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), StoppedError(signal.SIGTERM)])
def test_a_stopped_run_keeps_what_it_measured_and_an_earlier_report(stop, monkeypatch, tmp_path):
    (tmp_path / "bench.json").write_text("earlier")
    results = iter([1.0, 2.0])

    def process(case: Case, device: str) -> dict:
        if (seconds := next(results, None)) is None:
            raise stop
        return made_up(case, seconds)

    monkeypatch.setattr(session, "_in_a_process", process)
    lines = []
    with pytest.raises(type(stop)):
        lines.extend(session.run([64, 128], tmp_path, device="cpu", only=["RRDBNet"]))
    rows = reporting.read(tmp_path / "bench-stopped.json").rows
    assert [row["seconds"] for row in rows] == [1.0, 2.0]
    assert (tmp_path / "bench.json").read_text() == "earlier"


def test_a_backend_or_network_that_is_missing_is_skipped_with_the_reason(monkeypatch):
    monkeypatch.setattr(cases.importlib.util, "find_spec", lambda name: None)
    assert cases.unavailable(Case("RRDBNet"), "cpu") == "basicsr is not installed"
    assert cases.unavailable(Case("realsr_x4"), "cpu") is None
    assert cases.unavailable(Case("planar_scan/reference", channels=48), "cpu") is None


def test_a_failing_case_is_skipped_with_its_last_line():
    reason = session._in_a_process(Case("planar_scan/no_such", channels=48), "cpu")
    assert isinstance(reason, str)
    assert reason.startswith("it failed: ValueError: planar_scan has no backend 'no_such'")


# A figure.


def test_a_figure_is_the_median_of_its_rounds_ratios():
    ours, other = Case("realsr_x4"), Case("RRDBNet")
    seconds = {ours: (1.0, 9.0, 1.2), other: (2.0, 10.0, 2.0)}
    results = {case: [made_up(case, s) for s in seconds[case]] for case in seconds}
    found = evaluate(Figure("x", "seconds", ours, other, 0.6), results)
    assert found is not None
    assert found["value"] == pytest.approx(0.6)
    assert found["rounds"] == pytest.approx([0.5, 0.9, 0.6])
    assert found["reached"]


def test_a_figure_without_its_cases_is_none():
    figure = Figure("x", "seconds", Case("realsr_x4"), Case("RRDBNet"), 0.5)
    assert evaluate(figure, {Case("realsr_x4"): [made_up(Case("realsr_x4"))]}) is None
    unknown = {**made_up(Case("RRDBNet")), "peak_mib": None}
    assert evaluate(replace(figure, key="peak_mib"), {c: [unknown] for c in figure.cases}) is None


# A measurement.


@pytest.fixture
def briefly(monkeypatch):
    monkeypatch.setattr(measure, "SECONDS", 0.0)
    monkeypatch.setattr(measure, "WARM_UP", 8)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.mark.parametrize("operation", ["planar_scan", "selective_scan"])
def test_a_scan_is_measured_per_state_and_its_backward_by_its_memory(briefly, operation):
    case = Case(f"{operation}/reference", 8, channels=16)
    directions = 4 if operation == "planar_scan" else 1
    found = measure.measure(case, "cpu")
    states = 8 * 8 * 16 * directions * 16
    assert found["ns_per_state"] == pytest.approx(found["seconds"] / states * 1e9)
    assert "extra_to_inputs" in measure.measure(replace(case, passes=BACKWARD), "cpu")


def test_a_network_is_measured_with_parameters_and_multiply_adds(briefly, monkeypatch):
    layers = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Conv2d(4, 3, 1))
    monkeypatch.setitem(cases.NETWORKS, "two convs", lambda: layers)
    found = measure.measure(Case("two convs"), "cpu")
    assert found["parameters"] == 3 * 4 * 9 + 4 + 4 * 3 + 3
    assert found["multiply_adds"] == found["products"] == 64 * 64 * (3 * 4 * 9 + 4 * 3)
    assert found["published"] == found["products"] and found["activations"] == 64 * 64 * (4 + 3)
    assert found["repeats"] == 1 and found["seconds"] > 0
    measure.measure(Case("two convs", 16, BOTH), "cpu")
    assert all(p.grad is not None for p in layers.parameters())


def test_peak_memory_is_what_a_call_holds_at_most():
    def call() -> None:  # bypasses the C library, which may keep freed memory
        for mebibytes in (64, 16):
            with mmap.mmap(-1, mebibytes * MEBIBYTE) as region:
                for _ in range(mebibytes):
                    region.write(bytes(MEBIBYTE))

    peak, how = memory.peak_above_idle(call, "cpu")
    if peak is None:
        pytest.skip(how)
    assert 0.9 * 64 * MEBIBYTE < peak < 1.2 * 64 * MEBIBYTE


def test_where_the_high_water_mark_cannot_be_reset_the_peak_may_be_unknown(monkeypatch, tmp_path):
    monkeypatch.setattr(memory, "CLEAR_REFS", tmp_path / "clear_refs")  # written without effect
    torch.ones(256 * MEBIBYTE, dtype=torch.uint8)  # a mark above what the calls reach
    peak, how = memory.peak_above_idle(lambda: None, "cpu")
    assert peak is None and "does not reset VmHWM" in how
    monkeypatch.setattr(memory, "STATUS", tmp_path / "no_status")
    peak, how = memory.peak_above_idle(lambda: None, "cpu")
    assert peak is None and how == "not known on cpu here"


def test_an_unknown_peak_is_a_question_mark_in_the_table():
    case = Case("realsr_x4")
    assert report.row(case, {**made_up(case), "peak_mib": None}).endswith("?")


def test_memory_kept_by_the_process_counts_again_in_the_next_call():
    def call() -> None:
        torch.ones(64 * MEBIBYTE, dtype=torch.uint8)

    if not keep_freed_memory():
        pytest.skip("not glibc")
    peaks = [memory.peak_above_idle(call, "cpu") for _ in range(2)]
    for peak, how in peaks:
        if peak is None:
            pytest.skip(how)
        assert 0.9 * 64 * MEBIBYTE < peak < 1.2 * 64 * MEBIBYTE


# Bad input.


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--sizes", "0"], "size is 0; it must be a positive multiple of 8"),
        (["--sizes", "-64"], "size is -64; it must be a positive multiple of 8"),
        (["--sizes", "64", "100"], "size is 100; it must be a positive multiple of 8"),
        (["--device", "tpu"], "device 'tpu': choose cpu or cuda"),
        (["--minutes", "0"], "minutes is 0; it must be a number above 0"),
        (["--minutes", "nan"], "minutes is nan; it must be a number above 0"),
        (["--only", "ResNet"], "nothing to measure is called 'ResNet': choose from planar_scan,"),
        (["-o", "file/folder"], "file/folder: cannot be written: Not a directory; choose another"),
    ],
)
def test_bad_input_is_one_sentence(measured, arguments, message, monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("")
    assert cli.vmambair(["bench", *arguments]) == 2
    assert message in capsys.readouterr().err
    assert measured == [] and [path.name for path in Path().iterdir()] == ["file"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_reported(measured, capsys):
    assert cli.vmambair(["bench", "--device", "cuda"]) == 2
    assert "device cuda: torch finds no GPU here; give --device cpu" in capsys.readouterr().err


def test_copies_for_mamba_ssm_are_measured_on_gpus_only(monkeypatch):
    names = {case.name for case in cases.grid([64])}
    assert cases.COPIES in names
    case = Case(cases.COPIES, 8, channels=16)
    monkeypatch.setattr(cases.mamba_ssm, "_missing", lambda: None)
    assert cases.unavailable(case, "cpu") == "its kernels are CUDA's"
    monkeypatch.setattr(measure, "mamba_ssm", selective)
    for passes, count in ((cases.FORWARD, 2), (BACKWARD, 6)):
        step, inputs = measure.scan_step(replace(case, passes=passes), 8, "cpu")
        assert len(step()) == count and len(inputs) == 6


def test_a_gpu_is_timed_by_its_own_clock(monkeypatch):
    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            done.append("record")

        def synchronize(self):
            done.append("synchronize")

        def elapsed_time(self, other):
            return 7.0

    done = []
    monkeypatch.setattr(torch.cuda, "Event", Event)
    assert measure._seconds_of_gpu(lambda: done.append("step")) == 0.007
    assert done == ["record", "step", "record", "synchronize"]
