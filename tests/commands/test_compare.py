"""vmambair compare measures like validation, and refuses what does not match."""

import json
import math
import re
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from basicsr.metrics import calculate_psnr, calculate_ssim
from skimage import data

from support.experiments import tiny_network
from support.picture_files import saved_identity
from vmambair_arch import cli, reporting
from vmambair_arch.commands.compare import matching, methods
from vmambair_arch.data.images import shrink
from vmambair_arch.models.perceptual_metrics import calculate_lpips

PHOTOGRAPHS = {"astronaut": data.astronaut, "chelsea": data.chelsea, "coffee": data.coffee}
FILES = {"report.html", "report.json", "report.md", "report.tex"}


def photograph(name: str, height: int = 48, width: int = 64) -> np.ndarray:
    """A part of a photograph, BGR."""
    return PHOTOGRAPHS[name]()[80:, 120:][:height, :width, ::-1]


def write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@pytest.fixture
def sets(tmp_path, monkeypatch) -> Path:
    """In the working directory: gt, lq (x4), and results of two methods with typical names."""
    monkeypatch.chdir(tmp_path)
    for name in PHOTOGRAPHS:
        image = photograph(name)
        write(Path("gt", f"{name}.png"), image)
        write(Path("lq", f"{name}x4.png"), shrink(image, 4))
        write(Path("sharp", f"{name}_EXPERIMENT.png"), cv2.GaussianBlur(image, (3, 3), 0))
        write(Path("blurred", f"{name}.bmp"), cv2.GaussianBlur(image, (7, 7), 0))
    return tmp_path


def compare(*arguments: str) -> int:
    return cli.vmambair(["compare", *arguments])


def report(folder: str = "comparison") -> reporting.Report:
    return reporting.read(Path(folder, "report.json"))


def values(folder: str = "comparison") -> dict[tuple[str, str], dict]:
    return {(str(row["method"]), str(row["image"])): row for row in report(folder).rows}


# What is measured.


def test_results_are_measured_by_basicsrs_formulas(sets, capsys):
    assert compare("gt", "sharp", "blurred", "--scale", "4") == 0
    found = values()
    assert len(found) == 6
    for method, suffix in (("sharp", "_EXPERIMENT.png"), ("blurred", ".bmp")):
        for name in PHOTOGRAPHS:
            pair = cv2.imread(f"{method}/{name}{suffix}"), cv2.imread(f"gt/{name}.png")
            expected = calculate_psnr(*pair, crop_border=4, test_y_channel=True)
            assert found[method, name]["psnr"] == pytest.approx(expected, abs=1e-6)
            expected = calculate_ssim(*pair, crop_border=4, test_y_channel=True)
            assert found[method, name]["ssim"] == pytest.approx(expected, abs=1e-6)
    printed = capsys.readouterr().out
    assert Path("comparison/report.md").read_text() in printed
    assert "comparison/report.html (" in printed
    assert {path.name for path in Path("comparison").iterdir()} == FILES
    details = report().details
    assert (details["border"], details["channel"], report().title) == (4, "Y", sets.name)


def test_rgb_and_another_border_are_measured_if_asked(sets):
    assert compare("gt", "sharp", "--rgb", "--crop-border", "2", "--title", "Three") == 0
    pair = cv2.imread("sharp/coffee_EXPERIMENT.png"), cv2.imread("gt/coffee.png")
    assert values()["sharp", "coffee"]["psnr"] == calculate_psnr(*pair, crop_border=2)
    assert report().details["channel"] == "RGB" and report().title == "Three"


def test_results_and_models_have_the_figures_of_validation(experiment, pairs, tmp_path):
    """The values equal those of basicsr test, for its pictures and for the network."""
    network = saved_identity(tmp_path, 4)
    metrics = {
        name: {"type": f"calculate_{name}", "crop_border": 4, "test_y_channel": True}
        for name in ("psnr", "ssim")
    }
    section = {
        **{"name": "six", "type": "PairedImageDataset", "io_backend": {"type": "disk"}},
        **{"dataroot_gt": str(pairs / "gt"), "dataroot_lq": str(pairs / "lq")},
    }
    options = experiment(
        "measured",
        datasets={"test": section},
        network_g=tiny_network(scale=4, dim=2, num_blocks=[0] * 4, num_refinement_blocks=0),
        path={"pretrain_network_g": network},
        val={"save_img": True, "suffix": None, "metrics": metrics},
    )
    assert cli.basicsr(["test", "-opt", options]) == 0
    validated = json.loads(Path("results/measured/metrics.jsonl").read_text())
    results = "results/measured/visualization/six"
    lq = str(pairs / "lq")
    assert compare(str(pairs / "gt"), results, "--lq", lq, "--model", f"net={network}") == 0
    means = reporting.tables.means(report().columns, report().rows)
    for method in ("measured", "net"):
        for name in metrics:
            assert means[method][name].value == pytest.approx(validated[name], rel=1e-12)


def test_bicubic_is_the_baseline_of_papers(sets):
    assert compare("gt", "--lq", "lq", "--bicubic") == 0
    for name in PHOTOGRAPHS:
        small = cv2.imread(f"lq/{name}x4.png")
        large = cv2.resize(small, (64, 48), interpolation=cv2.INTER_CUBIC)
        about = calculate_psnr(large, cv2.imread(f"gt/{name}.png"), 4, test_y_channel=True)
        assert values()["bicubic", name]["psnr"] == pytest.approx(about, abs=1)
    assert report().details["border"] == 4


def test_the_bundled_network_is_called_bundled_and_beats_bicubic(sets):
    assert compare("gt", "--lq", "lq", "--bicubic", "--model", "bundled") == 0
    means = reporting.tables.means(report().columns, report().rows)
    assert list(means) == ["bicubic", "bundled"]
    assert means["bundled"]["psnr"].value > means["bicubic"]["psnr"].value


def test_models_joined_by_a_plus_run_one_after_the_other(sets):
    two = Path(saved_identity(Path(), 2)).name
    assert cli.vmambair(["restore", "lq", "-o", "twice", "-m", two, "-m", two]) == 0
    joined = f"{two}+{two}"
    models = ["--model", joined, "--model", f"both={joined}"]
    assert compare("gt", "twice", "--lq", "lq", *models) == 0
    for name in PHOTOGRAPHS:
        rows = [values()[method, name] for method in ("twice", "identity_x2+identity_x2", "both")]
        assert len({row["psnr"] for row in rows}) == 1


def test_metrics_of_pyiqa_are_columns_with_their_direction(sets, pyiqa):  # noqa: F811
    assert compare("gt", "sharp", "--metrics", "psnr", "niqe", "musiq") == 0
    columns = report().columns
    assert [column.better for column in columns.values()] == ["higher", "lower", "higher"]
    assert columns["musiq"].label == "MUSIQ"
    assert all(isinstance(row["niqe"], float) for row in report().rows)


def test_lpips_equals_validations_without_pyiqa(sets, backbone, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyiqa", None)
    layers = Path("experiments/pretrained_models/alexnet-owt-7be5be79.pth")
    layers.parent.mkdir(parents=True)
    layers.symlink_to(backbone("alex")[1])
    assert compare("gt", "sharp", "same=gt", "--metrics", "lpips", "--crop-border", "2") == 0
    expected = calculate_lpips(
        cv2.imread("sharp/coffee_EXPERIMENT.png"), cv2.imread("gt/coffee.png"), crop_border=2
    )
    assert values()["sharp", "coffee"]["lpips"] == pytest.approx(expected, rel=1e-5)
    assert values()["same", "coffee"]["lpips"] == 0
    assert report().columns["lpips"].better == "lower"


def test_equal_pictures_have_an_infinite_psnr(sets):
    assert compare("gt", "same=gt", "sharp") == 0
    assert values()["same", "coffee"]["psnr"] == math.inf
    assert values()["same", "coffee"]["ssim"] == pytest.approx(1)
    assert "∞" in Path("comparison/report.md").read_text()
    assert r"\infty" in Path("comparison/report.tex").read_text()


def test_a_single_picture_is_compared_with_a_single_ground_truth(sets):
    assert compare("gt/coffee.png", "a=sharp/coffee_EXPERIMENT.png", "b=blurred/coffee.bmp") == 0
    assert list(values()) == [("a", "coffee"), ("b", "coffee")] and report().title == "coffee"


def test_grey_pictures_are_measured_as_basicsr_reads_them(sets):
    for name, blur in (("grey_gt", 1), ("grey", 5)):
        grey = cv2.cvtColor(photograph("coffee"), cv2.COLOR_BGR2GRAY)
        write(Path(name, "coffee.png"), cv2.GaussianBlur(grey, (blur, blur), 0))
    assert compare("grey_gt", "grey") == 0
    pair = cv2.imread("grey/coffee.png"), cv2.imread("grey_gt/coffee.png")
    expected = calculate_psnr(*pair, crop_border=0, test_y_channel=True)
    assert values()["grey", "coffee"]["psnr"] == expected


def test_ground_truth_is_cropped_as_the_results_were(sets):
    shutil.rmtree("gt")
    for name in PHOTOGRAPHS:
        write(Path("gt", f"{name}.png"), photograph(name, 51, 65))
    shutil.copytree("gt", "whole")
    assert compare("gt", "sharp", "whole", "--scale", "4") == 0
    pair = cv2.imread("sharp/coffee_EXPERIMENT.png"), photograph("coffee", 48, 64)
    expected = calculate_psnr(*pair, crop_border=4, test_y_channel=True)
    assert values()["sharp", "coffee"]["psnr"] == expected
    assert values()["whole", "coffee"]["psnr"] == math.inf


def test_the_tables_are_made_again_from_the_report(sets):
    assert compare("gt", "sharp", "blurred", "same=gt") == 0
    for table in ("report.md", "report.tex"):
        assert cli.vmambair(["plot", "comparison/report.json", table]) == 0
        assert Path(table).read_bytes() == Path("comparison", table).read_bytes()


def test_a_page_is_only_overwritten_on_request(sets, capsys):
    assert compare("gt", "sharp", "-o", "new/out") == 0
    before = Path("new/out/report.json").stat().st_mtime_ns
    assert compare("gt", "sharp", "-o", "new/out") == 2
    assert "new/out/report.html exists already; give another" in capsys.readouterr().err
    assert Path("new/out/report.json").stat().st_mtime_ns == before
    assert compare("gt", "sharp", "-o", "new/out", "--overwrite") == 0


def test_the_page_embeds_the_requested_number_of_images(sets):
    assert compare("gt", "sharp", "--images", "1", "-o", "one") == 0
    assert compare("gt", "sharp", "-o", "all") == 0
    for folder, number in (("one", 1), ("all", 3)):
        page = Path(folder, "report.html").read_text()
        assert page.count('<script type="application/json" class="scene">') == number
        assert all(f">{name}<" in page for name in PHOTOGRAPHS)
        assert len(report(folder).rows) == 3


# Names.


@pytest.mark.parametrize(
    "result",
    ["baby", "baby_SwinIR", "baby-x4", "babyx4", "baby_x4_SwinIR", "baby.4", "baby X2"],
)
def test_a_result_is_matched_by_the_beginning_of_its_name(result, tmp_path):
    (tmp_path / f"{result}.png").touch()
    (tmp_path / "notes.txt").touch()
    found, remarks = matching.match({"baby": Path("baby.png")}, tmp_path)
    assert found["baby"].stem == result and not remarks


def test_the_longest_name_wins_and_suffixes_of_data_sets_are_ignored(tmp_path):
    for name in ("img_1_x4", "img_1_2_x4", "img_10", "img_001_SRF_4_SwinIR"):
        (tmp_path / f"{name}.png").touch()
    names = ("img_1", "img_1_2", "img_10", "img_001_SRF_4_HR")
    found, _ = matching.match({name: Path(f"{name}.png") for name in names}, tmp_path)
    assert {name: path.stem for name, path in found.items()} == dict(
        zip(names, ("img_1_x4", "img_1_2_x4", "img_10", "img_001_SRF_4_SwinIR"), strict=True)
    )


def test_a_result_without_ground_truth_is_remarked(sets, capsys):
    shutil.copy("gt/coffee.png", "sharp/rocket.png")
    assert compare("gt", "sharp") == 0
    assert "sharp: rocket.png left out: no ground truth" in capsys.readouterr().err


def test_names_are_those_of_folders_experiments_and_files(sets):
    assert methods.split_name("first=sharp") == ("first", "sharp")
    assert methods.split_name("sharp") == ("sharp", "sharp")
    assert methods.split_name("models/net_g.pth")[0] == "net_g.pth"
    assert methods.split_name("results/SwinIR/visualization/Set5")[0] == "SwinIR"
    Path("a=b").mkdir()
    assert methods.split_name("a=b") == ("a=b", "a=b")


# Bad input.


def sentences(capsys) -> list[str]:
    return capsys.readouterr().err.splitlines()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to compare: give folders of results, --model or --bicubic"),
        (["sharp", "--bicubic"], "--model and --bicubic need low-quality images: give their"),
        (["sharp", "--lq", "lq"], "--lq is for --model and --bicubic: give one of them, or leave"),
        (["sharp", "--scale", "0"], "--scale is 0; it must be 1 or more"),
        (["sharp", "--images", "0"], "--images is 0; it must be 1 or more"),
        (["sharp", "--crop-border", "-1"], "--crop-border is -1; it must be 0 or more"),
        (["missing"], "missing: there is no such folder (in "),
        (
            ["parent"],
            "parent: no pictures in it (.png, .jpg, .jpeg, .jpe, .jfif, .webp, .tif, .tif",
        ),
        (["sharp", "sharp"], "two methods are called sharp; give one another name (NAME=...)"),
        (
            ["few"],
            "few: has nothing for astronaut.png, chelsea.png of 3 ground-truth images",
        ),
        (
            ["both"],
            "both: astronaut_a.png and astronaut_b.png all match astronaut.png; leave",
        ),
        (["sharp", "--lq", "lq", "--model", "no.pth"], "no.pth"),
        (["sharp", "--lq", "lq", "--model", "realsr"], "realsr: neither a file nor a bundled"),
        (["sharp", "--crop-border", "20"], "48 pixels, and a border of 20 leaves less than"),
        (
            ["lq"],
            "lq/astronautx4.png: 16 x 12 pixels, and gt/astronaut.png has 64 x 48 pixels; give",
        ),
        (
            ["--lq", "lq", "--bicubic", "--scale", "2"],
            "smaller than the ground truth, or another --s",
        ),
        (["cropped"], "64 x 44 pixels, and gt/astronaut.png has 64 x 48 pixels; give results of"),
        (["text"], "text/coffee.png: is text, not a picture"),
        (["cut"], "cut/coffee.png: damaged"),
        (["deep"], "deep/coffee.png: has 16 bits per channel; convert it to 8"),
        (["clear"], "clear/coffee.png: is transparent; flatten it"),
        (["sharp", "-o", "gt/coffee.png"], "gt/coffee.png: is a file; give a folder to write to"),
    ],
)
def test_bad_input_is_a_sentence_and_nothing_is_written(sets, arguments, message, capsys):
    damage()
    before = sorted(sets.rglob("*"))
    assert compare("gt", *arguments) == 2
    assert any(message in sentence for sentence in sentences(capsys))
    assert sorted(sets.rglob("*")) == before


def damage() -> None:
    """Folders of results, each with something wrong."""
    for name in ("few", "both", "cropped", "text", "cut", "deep", "clear"):
        shutil.copytree("gt", name)
    Path("parent/Set5").mkdir(parents=True)
    Path("few/astronaut.png").unlink(), Path("few/chelsea.png").unlink()
    Path("both/astronaut.png").rename("both/astronaut_a.png")
    shutil.copy("gt/astronaut.png", "both/astronaut_b.png")
    write(Path("cropped/astronaut.png"), photograph("astronaut", 44))
    Path("text/coffee.png").write_text("coffee")
    content = Path("gt/coffee.png").read_bytes()
    Path("cut/coffee.png").write_bytes(content[: len(content) // 2])
    write(Path("deep/coffee.png"), photograph("coffee").astype(np.uint16) * 257)
    alpha = np.full((48, 64, 1), 128, np.uint8)
    write(Path("clear/coffee.png"), np.concatenate([photograph("coffee"), alpha], axis=2))


def test_all_problems_are_reported_at_once(sets, capsys):
    damage()
    assert compare("gt", "few", "both", "missing") == 2
    assert [sentence.partition(": ")[2].split(":")[0] for sentence in sentences(capsys)] == [
        "few",
        "both",
        "missing",
    ]
    assert compare("gt", "text", "cut", "deep", "cropped", "lq") == 2
    found = sentences(capsys)
    assert len(found) == 7 and len([line for line in found if "lq/" in line]) == 3


def test_cropped_results_say_the_scale_to_give(sets, capsys):
    write(Path("gt/coffee.png"), photograph("coffee", 51, 65))
    assert compare("gt", "sharp") == 2
    (sentence,) = sentences(capsys)
    assert sentence.endswith("which were cropped to multiples of 4; give --scale 4")


def test_many_problems_of_a_kind_are_counted(sets, capsys):
    for number in range(9):
        write(Path("gt", f"image{number}.png"), photograph("coffee"))
        write(Path("small", f"image{number}.png"), photograph("coffee", 12, 16))
    shutil.move("gt", "all")
    for path in Path("all").glob("image*"):
        write(Path("gt", path.name), photograph("coffee"))
    assert compare("gt", "small") == 2
    assert len(found := sentences(capsys)) == 5
    assert found[-1].endswith("give results of the same scale (and 4 more like it)")


def test_two_ground_truths_with_the_same_name_are_reported(sets, capsys):
    shutil.copy("blurred/coffee.bmp", "gt/coffee.bmp")
    assert compare("gt", "sharp") == 2
    assert re.search("gt/coffee.bmp and coffee.png have the same name", capsys.readouterr().err)


def test_a_metric_that_cannot_run_is_reported(sets, monkeypatch, capsys):
    monkeypatch.setitem(__import__("sys").modules, "pyiqa", None)
    assert compare("gt", "sharp", "--metrics", "psnr", "musiq") == 2
    (sentence,) = sentences(capsys)
    assert "metric musiq needs pyiqa, which cannot be imported" in sentence
    assert not Path("comparison").exists()
