"""The notebook runs from its first cell to its last, on small pictures and two iterations."""

import os
from pathlib import Path

import cv2
import nbclient
import nbformat
import pytest
from skimage import data

from support.pages import ROOT
from support.patience import PATIENCE

NOTEBOOK = ROOT / "integrations/notebook/train_and_restore.ipynb"


@pytest.fixture
def photographs(tmp_path, monkeypatch) -> Path:
    """A handful of them, where the notebook looks for them."""
    monkeypatch.setenv("ITERATIONS", "2")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number, photograph in enumerate((data.astronaut(), data.chelsea(), data.coffee())):
        assert cv2.imwrite(str(folder / f"{number}.png"), photograph[100:164, 100:172, ::-1])
    return tmp_path


def test_it_trains_restores_and_shows(photographs):
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    assert all(cell["metadata"].get("tags") == ["install"] for cell in notebook.cells[1:2])
    del notebook.cells[1]  # would install the package under test
    resources = {"metadata": {"path": str(photographs)}}
    nbclient.NotebookClient(
        notebook, timeout=PATIENCE, startup_timeout=PATIENCE, resources=resources
    ).execute()
    assert (photographs / "experiments/mine/models/net_g_latest.pth").is_file()
    said = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    text = "".join(output.get("text", "") for output in said)
    assert "2 pictures to train on, and 0.png to compare" in text
    assert "(18, 16) -> (72, 64)" in text
    assert sum("image/png" in output.get("data", {}) for output in said) == 2


def test_it_is_stored_without_outputs():
    for cell in nbformat.read(NOTEBOOK, as_version=4).cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
