"""`python -m jaxgan.export`: what it writes, and what it refuses."""

import json
import os
import re

import numpy as np
import pytest
from conftest import load_config, untrained

from jaxgan import export
from jaxgan.config.presets import update
from jaxgan.exporting import formats
from jaxgan.exporting.generator import SamplingGenerator
from jaxgan.inference.loading import load
from jaxgan.train import train

SMALL = {
    "width": 0.05,
    "batch_size": 16,
    "steps": 2,
    "seeds": 2,
    "best_by": "none",
    "eval_images": 20,
    "results_images": 20,
    "tensorboard": False,
    "progress": False,
}


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "gan"
    with untrained():
        train(update(load_config("gan"), SMALL), str(folder))
    return folder


def run_export(workdir, *arguments):
    export.parse_flags(["export", f"--workdir={workdir}", *arguments])
    return export.main(["export"])


def test_writes_the_generator_and_its_card_into_a_new_folder(workdir, capsys, monkeypatch):
    assert run_export(workdir, "--format=stablehlo", "--seed=1", "--checkpoint=last") == 0
    assert run_export(workdir, "--format=stablehlo") == 0
    said = "the last networks of seed 1 (step 2): "
    assert f"{said}{workdir / 'export' / 'generator.stablehlo'}\n" in capsys.readouterr().out
    assert sorted(os.listdir(workdir / "export_2")) == ["generator.stablehlo", "model_card.md"]
    card = (workdir / "export" / "model_card.md").read_text()
    made = {}
    monkeypatch.chdir(workdir / "export")
    exec(re.search(r"```python\n(.*?)```", card, re.S)[1], made)
    run = load(str(workdir), "last", 1)
    expected = np.asarray(SamplingGenerator(run)(**made["inputs"]))
    np.testing.assert_allclose(made["images"], expected, rtol=0, atol=1e-5)
    about = json.loads((workdir / "config.json").read_text())
    assert about["dataset"]["sha256"] in card
    assert "license: unknown" in card
    assert "    batch_size=16\n" in card
    rows = json.loads((workdir / "results.json").read_text())["measures"]
    rows = [row for row in rows if row["seed"] == 1]
    assert rows
    for row in rows:
        assert f"| {row['name']} | {row['value']:.4g}" in card
    assert card.count("\n| ") == 5 + len(rows)  # With an input and both tables' first lines.


def refused(capsys, status, said):
    lines = capsys.readouterr().err.strip().splitlines()
    assert status == 2
    assert said in lines[0]
    assert len(lines) <= 2


def test_mistakes_are_reported_in_few_lines(workdir, tmp_path, capsys, monkeypatch):
    there = tmp_path / "there"
    there.mkdir()
    monkeypatch.setattr(export, "check_installed", lambda format: None)
    for arguments, said in (
        (["--format=onnx", f"--out={there}"], f"{there} exists already"),
        (["--format=onnx", "--out=", "--seed=7"], "has seeds 0 to 1, not 7"),
    ):
        refused(capsys, run_export(workdir, *arguments), said)
    assert not list(there.iterdir())
    refused(capsys, run_export(tmp_path, "--format=onnx", "--out="), "holds no run")
    monkeypatch.setattr(export.flags.FLAGS["format"], "value", None)
    refused(capsys, export.main(["export"]), "--format is missing")


def test_writes_no_file_whose_images_differ(workdir, tmp_path, capsys, monkeypatch):
    wrong = formats.Format("generator.onnx", (), lambda generator: b"", lambda content, inputs: 2.0)
    monkeypatch.setitem(formats.FORMATS, "onnx", wrong)
    out = tmp_path / "out"
    status = run_export(workdir, "--format=onnx", f"--out={out}", "--seed=0")
    refused(capsys, status, "its images differ by")
    assert not out.exists()
