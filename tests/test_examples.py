"""The notebooks run from the first cell to the last, with fewer steps, narrower networks and fewer
images to measure than they are shown with."""

import pytest
from conftest import PATIENCE, ROOT, command_environment

nbclient = pytest.importorskip(
    "nbclient", reason="nbclient is not installed: pip install -e .[dev]"
)
nbformat = pytest.importorskip("nbformat")
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
# Added to the cell of parameters, after the imports.
SMALLER = """
steps = 6
whole = named


def named(name, values):
    small = {"width": 0.05, "results_images": 64, "eval_images": 64, "tensorboard": False}
    return whole(name, small | values)
"""


# A kernel's sockets are closed by the garbage collector, in an event loop of its own.
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path, tmp_path, monkeypatch):
    for name, value in command_environment().items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(path, as_version=4)
    parameters = [c for c in notebook.cells if "parameters" in c.metadata.get("tags", ())]
    assert len(parameters) == 1
    parameters[0].source += SMALLER
    folder = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=PATIENCE, resources=folder).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    errors = [output for output in outputs if output.get("name") == "stderr"]
    assert not errors
    # The progress is one output, rewritten; the trained run is shown as a picture.
    assert any("step 6" in str(output) or "6/6" in str(output) for output in outputs)
    assert any("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_with_its_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert sum(bool(cell.outputs) for cell in cells) >= 3
    assert path.stat().st_size < 600_000
    assert not any(output.output_type == "error" for cell in cells for output in cell.outputs)
