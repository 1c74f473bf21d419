"""vmambair options lists the recipes and copies them."""

from pathlib import Path

import yaml

from vmambair_arch import cli

RECIPES = Path(__file__).parents[2] / "options"


def test_every_recipe_is_listed_with_what_it_is_for(capsys):
    assert cli.vmambair(["options"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(":")[0] for line in lines] == sorted(p.name for p in RECIPES.glob("*.yml"))
    assert all(len(line.split(": ", 1)[1]) > 20 for line in lines)


def test_copies_are_the_recipes_and_editors_find_their_schema(tmp_path, capsys):
    assert cli.vmambair(["options", "--copy", str(tmp_path / "mine")]) == 0
    copies = sorted((tmp_path / "mine").iterdir())
    assert [copy.name for copy in copies] == sorted(p.name for p in RECIPES.glob("*.yml"))
    for copy in copies:
        text = copy.read_text()
        assert yaml.safe_load(text) == yaml.safe_load((RECIPES / copy.name).read_text())
        assert Path(text.splitlines()[0].split("$schema=file://")[1]).is_file()
    assert f"{len(copies)} option files" in capsys.readouterr().out


def test_copying_never_replaces_a_file(tmp_path, capsys):
    (tmp_path / "train_vmambair_x4.yml").write_text("mine")
    assert cli.vmambair(["options", "--copy", str(tmp_path)]) == 2
    assert "train_vmambair_x4.yml: exists already" in capsys.readouterr().err
    assert [path.read_text() for path in tmp_path.iterdir()] == ["mine"]
