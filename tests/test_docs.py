"""What the README and docs/ show is run, and lists what there is."""

import re

import pytest
from conftest import ROOT, run_python

from jaxgan.evaluation.registry import METRICS, OF_SEEDS


def python_blocks(name):
    return re.findall(r"```python\n(.*?)```", (ROOT / name).read_text(), re.S)


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("README.md", "runs/first/results.json"),
        ("docs/extending.md", "runs/hinge/results.json"),
    ],
)
def test_examples_run(tmp_path, name, left):
    blocks = python_blocks(name)
    assert max(len(block.splitlines()) for block in blocks) < 40
    done = run_python("-c", "\n".join(blocks), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / left).exists()


def test_reference_lists_every_metric_with_its_better_direction():
    rows = re.findall(
        r"^\| (`.*?) \| (higher|lower|near .*?) \|", (ROOT / "docs/reference.md").read_text(), re.M
    )
    listed = {name: better for names, better in rows for name in re.findall(r"`(\w+)", names)}
    every = [OF_SEEDS, *(metric.names for metric in METRICS)]
    known = {name: better.value for names in every for name, better in names.items()}
    # `factor_r2_FACTOR` is listed with its variants only.
    listed = {re.sub(r"_(FACTOR)?$", "", name): better for name, better in listed.items()}
    assert listed == known


def test_readme_shows_every_package():
    text = (ROOT / "README.md").read_text()
    packages = [path.parent.name for path in (ROOT / "jaxgan").glob("*/__init__.py")]
    assert packages
    for name in packages:
        assert f"`jaxgan/{name}/`" in text, name
    assert len(text.splitlines()) <= 250
