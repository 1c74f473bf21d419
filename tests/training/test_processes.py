"""Runs of several processes: equal to one with a larger batch, resumable by any number of
processes, and ended together."""

import signal
from pathlib import Path

import pytest
import torch
import yaml

from support import OPTIONS, ranks
from support.experiments import load_tensors
from support.processes import MODELS, train, write
from support.small_degradations import DEGRADATION, KERNELS, both_orders
from support.trainings import assert_same, metrics
from vmambair_arch.errors import InputError
from vmambair_arch.system.processes import raise_in_all
from vmambair_arch.training import joining

MICRO = (  # name, ranks, images that a rank takes at once of the four in a step, precision
    ("micro_one", 1, 4, "fp32"),
    ("micro_two", 2, 1, "fp32"),
    ("micro_one_bf16", 1, 1, "bf16"),
    ("micro_two_bf16", 2, 1, "bf16"),
)
NIQE = {"type": "calculate_niqe", "crop_border": 0}  # has no value for images this small
RECIPE = "train_vmambair_clean.yml"  # JPEG and noise
KEPT = ("name", "dataroot_gt", "io_backend", "use_hflip", "use_rot", "batch_size_per_gpu")


def write_degraded(pairs: Path, name: str) -> str:
    """An option file of a model that keeps a pool of pairs."""
    path = Path(write(pairs, name))
    opt = yaml.safe_load(path.read_text())
    opt |= {"model_type": "DegradationModel", "gt_size": 32, "queue_size": 3}
    opt |= {**both_orders(DEGRADATION), "second_blur_prob": 0.8}
    section = {key: opt["datasets"]["train"][key] for key in KEPT}
    section |= {**both_orders(KERNELS), "final_sinc_prob": 0.8, "crop_pad_size": 64}
    opt["datasets"]["train"] = {**section, "type": "DegradationDataset", "num_worker_per_gpu": 1}
    path.write_text(yaml.safe_dump(opt))
    return str(path)


def write_test(pairs: Path, name: str) -> str:
    """An option file that measures two images, also with a metric that has no value for them."""
    Path("two.txt").write_text("0.png (64,72,3)\n1.png (64,72,3)\n")
    path = Path(write(pairs, name))
    opt = yaml.safe_load(path.read_text())
    section = {**opt["datasets"]["val"], "meta_info_file": "two.txt"}
    opt["datasets"] = {"test": section}
    opt["val"]["metrics"]["niqe"] = NIQE
    opt["val"].update(save_img=True)
    opt["path"]["pretrain_network_g"] = "experiments/VmambaIRModel_one/models/net_g_10.pth"
    path.write_text(yaml.safe_dump(opt))
    return str(path)


def described(pairs: Path) -> list[dict]:
    """The runs that the tests use, in the form of ``ranks.codes``."""
    runs = []

    def add(name: str, *arguments: list[str], **more) -> None:
        runs.append({"name": name, "arguments": arguments, **more})

    for model in MODELS:
        add(f"{model}_one", train(write(pairs, f"{model}_one", model, batch=2)))
        add(f"{model}_two", *[train(write(pairs, f"{model}_two", model))] * 2)
    micro = write(pairs, "micro", "SRGANModel")
    for name, many, batch, precision in MICRO:
        sizes = [f"datasets:train:batch_size_per_gpu={batch}", "train:total_batch_size=4"]
        forced = [*sizes, "train:total_iter=2", "train:optim_g:type=SGD", "val:val_freq=2"]
        add(name, *[train(micro, f"name={name}", f"precision={precision}", *forced)] * many)
    term, kill = int(signal.SIGTERM), int(signal.SIGKILL)
    stopped = write(pairs, "stopped")
    add("stopped", *[train(stopped)] * 2, signals=[[1, 4, term]])  # one of them only
    for many, batch in ((1, 2), (2, 1), (3, 1)):
        state = "path:resume_state=experiments/stopped/training_states/4.state"
        forced = [f"name=by_{many}", state, f"datasets:train:batch_size_per_gpu={batch}"]
        add(f"by_{many}", *[train(stopped, *forced)] * many)
    due = write(pairs, "due")
    add("due", *[train(due)] * 2, signals=[[0, 5, term]])  # where a validation is due
    add("due_resumed", *[train(due, resume=True)] * 2)
    pool = write_degraded(pairs, "pool")
    add("pool_whole", *[train(pool, "name=pool_whole")] * 2)
    add("pool", *[train(pool)] * 2, signals=[[1, 7, term]])
    add("pool_resumed", *[train(pool, resume=True)] * 2)
    for many in (1, 3):
        tested = write_test(pairs, f"tested_by_{many}")
        add(f"tested_by_{many}", *[["test", "-opt", tested]] * many)
    for name, many in (("one", 1), ("two", 2)):
        degrade = ["degrade", str(pairs / "gt"), f"degraded_{name}", "-opt", str(OPTIONS / RECIPE)]
        add(f"degrade_{name}", *[degrade] * many)
    killed = write(pairs, "killed")
    add("killed", *[train(killed)] * 2, signals=[[1, 7, kill]])
    other = write(pairs, "other")
    add("other", train(other), train(other, "train:total_iter=11"), launcher="slurm")
    add("absent", train(other), train("absent.yml"))
    forced = ["train:total_iter=1", "dist_params={backend: nccl}"]
    add("slurm", *[train(write(pairs, "slurm"), *forced)] * 2, launcher="slurm")
    return runs


@pytest.fixture(scope="module")
def codes(pairs, tmp_path_factory):
    """Exit codes of the runs by name; their files are in the working directory."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("runs"))
        runs = described(pairs)
        yield dict(zip([run["name"] for run in runs], ranks.codes(runs), strict=True))


def networks(name: str, iteration: int = 10) -> dict:
    """The parameters of all networks that a run has saved at an iteration."""
    found = {}
    for path in Path(f"experiments/{name}/models").glob(f"net_*_{iteration}.pth"):
        content = load_tensors(path)
        found |= {
            f"{path.name}/{key}": content[key] for key in content.keys() - {"about", "config"}
        }
    assert found
    return found


def assert_close(one: str, other: str, iteration: int = 10) -> None:
    """Two runs have the same weights, up to the order of additions."""
    theirs = networks(other, iteration)
    for key, weights in networks(one, iteration).items():
        for name, tensor in weights.items():
            torch.testing.assert_close(theirs[key][name], tensor, rtol=1e-4, atol=1e-5)


def said(name: str) -> list[str]:
    """The messages that the processes of a run print."""
    lines = [line for out in sorted(Path().glob(f"{name}.*.out")) for line in out.open()]
    return [line.removeprefix("vmambair: ") for line in lines if line.startswith("vmambair: ")]


@pytest.mark.parametrize("model", MODELS)
def test_two_ranks_train_like_one_with_twice_their_batch(model, codes):
    assert codes[f"{model}_one"] + codes[f"{model}_two"] == [0, 0, 0]
    assert_close(f"{model}_one", f"{model}_two")


@pytest.mark.parametrize("precision", ["", "_bf16"])
def test_two_ranks_with_two_micro_batches_train_like_one_with_the_large_batch(precision, codes):
    names = f"micro_one{precision}", f"micro_two{precision}"
    assert codes[names[0]] + codes[names[1]] == [0, 0, 0]
    assert_close(*names, iteration=2)
    one, two = (metrics(f"experiments/{name}") for name in names)
    assert two[0]["psnr"] == pytest.approx(one[0]["psnr"], abs=1e-3)


@pytest.mark.parametrize("model", MODELS)
def test_a_shared_validation_has_the_figures_of_one_process(model, codes):
    one, two = (metrics(f"experiments/{model}_{many}") for many in ("one", "two"))
    assert [line["iter"] for line in two] == [5, 10]
    for mine, theirs in zip(one, two, strict=True):
        assert theirs["psnr"] == pytest.approx(mine["psnr"], abs=1e-3)  # of weights that differ


def test_fewer_images_than_ranks_and_images_without_a_value_are_measured_as_by_one_process(codes):
    assert codes["tested_by_1"] + codes["tested_by_3"] == [0] * 4
    one, three = (metrics(f"results/tested_by_{ranks}")[0] for ranks in (1, 3))
    assert (three["psnr"], three["niqe"]) == (one["psnr"], None)
    pictures = [
        sorted(p.name[0] for p in Path("results").glob(f"*{n}/*/val/*.png")) for n in (1, 3)
    ]
    assert pictures == [["0", "1"]] * 2


def test_a_signal_to_one_rank_stops_all_with_a_state(codes):
    assert codes["stopped"] == [143, 143]
    assert len(load_tensors("experiments/stopped/training_states/4.state")["processes"]) == 2


def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(codes):
    assert codes["by_2"] == [0, 0]
    assert_same(networks("VmambaIRModel_two"), networks("by_2"))


def test_a_state_of_two_ranks_resumes_with_one_and_with_three(codes):
    assert codes["by_1"] + codes["by_3"] == [0] * 4
    assert_close("VmambaIRModel_one", "by_1")
    log = next(Path("experiments/by_3").glob("*.log")).read_text()
    assert "The state is of 2 processes, and this run has 3" in log


def test_a_validation_that_a_signal_cut_short_is_repeated(codes):
    assert codes["due"] + codes["due_resumed"] == [143, 143, 0, 0]
    assert [line["iter"] for line in metrics("experiments/due")] == [5, 10]
    assert_same(networks("VmambaIRModel_two"), networks("due"))


def test_each_rank_continues_with_its_own_pool_of_pairs(codes):
    assert codes["pool_whole"] + codes["pool"] + codes["pool_resumed"] == [0, 0, 143, 143, 0, 0]
    processes = load_tensors("experiments/pool/training_states/7.state")["processes"]
    pools = [process["model"]["pool"]["gt"] for process in processes]
    assert not torch.equal(*pools)
    assert_same(networks("pool_whole"), networks("pool"))


def test_a_killed_rank_ends_the_others_without_a_traceback(codes):
    assert codes["killed"] == [1, -signal.SIGKILL]
    (sentence,) = said("killed")
    assert sentence.startswith("rank 0: another process has ended or does not answer (")
    assert "Traceback" not in Path("killed.0.out").read_text()


def test_ranks_with_different_options_are_an_error_before_anything_is_written(codes):
    assert codes["other"] == [2, 2]
    (sentence,) = said("other")
    assert "train.total_iter is 10 in rank 0 and 11 in rank 1; start all with" in sentence
    assert not Path("experiments/other").exists()


def test_nccl_without_gpus_falls_back_to_gloo_with_one_warning(codes):
    assert codes["slurm"] == [0, 0]
    said = [Path(f"slurm.{rank}.out").read_text() for rank in range(2)]
    warning = "dist_params.backend is nccl, and this run uses no GPU: gloo instead"
    assert [warning in text for text in said] == [True, False]


def test_a_rank_without_an_option_file_ends_all_and_is_named_once(codes):
    assert codes["absent"] == [2, 2]
    (sentence,) = said("absent")
    assert sentence.startswith("rank 1: absent.yml: there is no such option file")


def test_a_file_that_one_process_cannot_use_is_an_error_of_all(tmp_path):
    with pytest.raises(InputError, match="none: cannot be read or written: "), raise_in_all():
        (tmp_path / "none").read_bytes()


@pytest.mark.parametrize(("by_all", "printed"), [(True, ""), (False, "a sentence")])
def test_what_all_processes_report_is_not_repeated_when_the_first_has_ended(
    by_all, printed, monkeypatch
):
    monkeypatch.setenv("RANK", "1")

    class Ended:
        def compare_set(self, *_):
            raise RuntimeError("Connection reset by peer")

    assert joining._once(Ended(), "a sentence", by_all=by_all) == printed


def test_slurm_can_start_processes(codes):
    assert codes["slurm"] == [0, 0]


def test_degraded_copies_and_their_record_equal_those_of_one_process(codes):
    assert (codes["degrade_one"], codes["degrade_two"]) == ([0], [0, 0])
    one, two = (
        {p.name: p.read_bytes() for p in Path(f"degraded_{n}").iterdir()} for n in ("one", "two")
    )
    assert one == two and len(two) == 6
    one, two = (Path(f"degraded_{n}.jsonl").read_bytes() for n in ("one", "two"))
    assert one == two
    said = [Path(f"degrade_two.{rank}.out").read_text() for rank in (0, 1)]
    assert ["6 degraded images" in text for text in said] == [True, False]
