"""Measuring a trained run again: `python -m jaxgan.evaluate`, and the rows of results.json."""

import dataclasses
import errno
import fcntl
import json
import os
import shutil
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from conftest import load_config, untrained

from jaxgan import cli, evaluate
from jaxgan.config.presets import update
from jaxgan.data.dataset import Factor
from jaxgan.data.sources import digits, ring, stacked
from jaxgan.evaluation import registry, runner
from jaxgan.evaluation import results as results_lib
from jaxgan.evaluation.results import MetricResult, format_table
from jaxgan.inference.trained_run import Run
from jaxgan.metrics.extractors.thumbnails import thumbnails
from jaxgan.models.conditions import Label
from jaxgan.reporting.html import report as html_report
from jaxgan.reporting.images import read_png
from jaxgan.train import train
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks

SMALL = {
    "width": 0.02,
    "batch_size": 16,
    "steps": 2,
    "eval_images": 20,
    "results_images": 40,
    "tensorboard": False,
    "progress": False,
}

CONFIG = SMALL | {"seeds": 2, "best_by": "parzen_log_likelihood"}


class Thumbnails:
    """What the metrics need of a reference classifier; it reads ten shades."""

    name, digest, accuracy, judged = "a classifier", "abc", 1.0, "test"
    features = staticmethod(thumbnails)

    @staticmethod
    def predict(images):
        return images.mean(axis=(1, 2, 3)).astype(int) % 10

    @staticmethod
    def probabilities(images):
        return np.eye(10)[Thumbnails.predict(images)]


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    """The reference classifier is another file's business."""
    monkeypatch.setattr(
        "jaxgan.evaluation.features.reference_classifier", lambda *_, **__: Thumbnails
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small fully connected GAN of two seeds, whose best step is its last one or none."""
    folder = tmp_path_factory.mktemp("runs") / "gan"
    config = update(load_config("gan"), CONFIG)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "jaxgan.evaluation.features.reference_classifier", lambda *_, **__: Thumbnails
        )
        with untrained():
            train(config, str(folder))
    return folder


@pytest.fixture
def folder(trained, tmp_path):
    shutil.copytree(trained, tmp_path / "gan")
    return tmp_path / "gan"


@pytest.fixture
def run(monkeypatch):
    """The command with these flags; its exit status."""

    def run(**flags):
        values = dict.fromkeys(("WORKDIR", "CHECKPOINT", "SEED", "N", "DATA_DIR", "_INCEPTION"))
        values |= {"_SVM_IMAGES": 200, "_METRICS": []} | flags
        for name, value in values.items():
            monkeypatch.setattr(evaluate, name, SimpleNamespace(value=value))
        return evaluate.main(["evaluate"])

    return run


def rows(folder):
    return json.loads((folder / "results.json").read_text())["measures"]


def test_the_same_networks_give_the_same_rows(folder, run, capsys):
    """As at the end of training; measured with fewer images each row is replaced."""
    trained = json.loads((folder / "results.json").read_text())
    assert {m["seed"] for m in trained["measures"]} == {0, 1}
    assert run(WORKDIR=str(folder), N=40) == 0
    before = json.loads((folder / "results.json").read_text())
    assert before | {"measures": before["measures"][: len(trained["measures"])]} == trained
    assert {m["name"] for m in before["measures"]} >= {"kernel_distance", "memorisation"}
    said = capsys.readouterr().out
    assert "frechet_distance" in said
    # Ten functions, two seeds, their last and best networks.
    assert "metric 40/40" in said
    # Ten images, each with its eight nearest, under a title; one sheet for each seed.
    sheets = [read_png(folder / f"neighbours_seed_{seed}.png") for seed in (0, 1)]
    assert all(sheet.shape == (18 + 10 * 30 + 2, 30 + 2 + 4 + 8 * 30 + 2, 1) for sheet in sheets)
    assert not np.array_equal(*sheets)
    assert run(WORKDIR=str(folder), N=30, SEED=1) == 0
    for old, new in zip(before["measures"], rows(folder), strict=True):
        assert new["n_generated"] == (30 if old["seed"] == 1 else 40)
        assert (new == old) == (old["seed"] == 0)
    assert run(WORKDIR=str(folder), N=20, CHECKPOINT="best") == 0
    assert {m["n_generated"] for m in rows(folder) if m["checkpoint"] == "best"} == {20}
    assert {m["n_generated"] for m in rows(folder) if m["checkpoint"] == "last"} == {30, 40}


def test_only_the_named_metrics_are_computed(folder, run):
    before = rows(folder)
    assert run(WORKDIR=str(folder), N=40, _METRICS=["coverage", "memorisation_closer"]) == 0
    added = rows(folder)[len(before) :]
    assert rows(folder)[: len(before)] == before
    # Each by its function, for two seeds, their last and their best networks.
    names = ["density", "coverage", "memorisation", "memorisation_closer"]
    assert sorted(m["name"] for m in added) == sorted(4 * names)
    assert not list(folder.glob("neighbours*"))


def test_the_page_and_the_table_of_labels_are_made_anew(folder, run, monkeypatch, capsys):
    """Before results.json: where the disk is full there, the figures are as they were."""
    before = (folder / "results.json").read_text()
    found = runner.EvaluationResult([], {}, {}, {1: "requested  7\n7  3"})
    monkeypatch.setattr(runner, "evaluate", lambda *_: found)
    (folder / "report.html").unlink()
    assert run(WORKDIR=str(folder), N=40) == 0
    assert "frechet_distance" in (folder / "report.html").read_text(encoding="utf-8")
    assert (folder / "confusion_seed_1.txt").read_text() == (
        "best networks, step 2\nrequested  7\n7  3\n"
    )
    assert ">seed 1<" in (folder / "report.html").read_text(encoding="utf-8")

    def full(*_, **named):
        raise OSError(errno.ENOSPC, "No space left on device")

    changed = dataclasses.replace(found_measure(before), value=0.0)
    monkeypatch.setattr(runner, "evaluate", lambda *_: found._replace(metrics=[changed]))
    monkeypatch.setattr(html_report, "write_report", full)
    assert run(WORKDIR=str(folder), N=40) == 1
    assert "results.json is whole" in capsys.readouterr().err
    # It was written before the page.
    assert found_measure((folder / "results.json").read_text()) == changed


def test_what_has_gone_wrong_is_said_with_its_remedy(folder, run, monkeypatch, capsys):
    """By evaluation and by the training command, after the table and in the report."""
    results = json.loads((folder / "results.json").read_text())
    for row in results["measures"]:
        if (row["name"], row["seed"], row["checkpoint"]) == ("pairwise_distance", 1, "last"):
            row |= {"value": 0.01, "reference": 0.29}
        elif row["name"] == "pairwise_distance":
            row |= {"value": 0.28, "reference": 0.29}
    (folder / "results.json").write_text(json.dumps(results))
    monkeypatch.setattr(runner, "evaluate", lambda *_: runner.EvaluationResult([], {}, {}, {}))
    said = "seed 1: the generated images are alike: two are 0.010 apart"
    assert run(WORKDIR=str(folder)) == 0
    evaluated = capsys.readouterr().out
    assert evaluated.count("advice: ") == 1
    assert evaluated.index("frechet_distance") < evaluated.index(f"advice: {said}")
    assert said in (folder / "report.html").read_text(encoding="utf-8")
    train(update(load_config("gan"), CONFIG), str(folder))
    finished = capsys.readouterr().out
    assert finished.index("frechet_distance") < finished.index(f"advice: {said}")
    # The rows are read too, and only they may be missing.
    (folder / "metrics.jsonl").unlink()
    (folder / "metrics.jsonl").mkdir()
    train(update(load_config("gan"), CONFIG), str(folder))
    assert f"advice: {said}" in capsys.readouterr().out


def test_metrics_that_need_more_images_are_named(folder, run, capsys):
    assert run(WORKDIR=str(folder), N=15, CHECKPOINT="last", SEED=0) == 0
    [line] = [x for x in capsys.readouterr().out.splitlines() if x.startswith("not measured")]
    assert line == (
        "not measured (too few images, no labels or no convolutions): kernel_distance,"
        " precision_and_recall, density_and_coverage, two_sample_accuracy, class_score,"
        " memorisation, svm_accuracy"
    )
    assert run(WORKDIR=str(folder), N=40, CHECKPOINT="last", SEED=0) == 0
    assert "convolutions): svm_accuracy\n" in capsys.readouterr().out


def test_a_run_of_few_images_is_warned_before_it_trains(tmp_path, capsys):
    whole = digits.load()
    few = dataclasses.replace(
        whole, train=whole.train.first(36), validation=whole.validation.first(4)
    )
    config = update(load_config("gan"), CONFIG | {"seeds": 1})
    with untrained():
        assert train(config, str(tmp_path / "few"), dataset=few) == 0
    first, last = [x for x in capsys.readouterr().out.splitlines() if " few: " in x]
    assert first == last
    assert first.startswith("advice: 36 training images are few: ")
    assert "Try augment=color+translation+cutout or more images." in first
    assert {"pairwise_distance", "frechet_distance"} <= {m["name"] for m in rows(tmp_path / "few")}


def test_a_file_that_cannot_be_written_is_a_mistake(folder, run, monkeypatch, capsys):
    before = (folder / "results.json").read_text()
    found = runner.EvaluationResult([], {}, {}, {1: "requested  7\n7  3"})
    monkeypatch.setattr(runner, "evaluate", lambda *_: found)
    (folder / "confusion_seed_1.txt").unlink(missing_ok=True)
    (folder / "confusion_seed_1.txt").mkdir()
    assert run(WORKDIR=str(folder), N=40) == 2
    assert "confusion_seed_1.txt: Is a directory" in capsys.readouterr().err
    assert (folder / "results.json").read_text() == before


def found_measure(results):
    """The first measure of a results.json."""
    return MetricResult(**json.loads(results)["measures"][0])


def test_training_makes_the_page_after_the_results(trained):
    """So that no picture costs what was measured."""
    shown = (trained / "report.html").read_text(encoding="utf-8")
    assert "frechet_distance" in shown
    assert "not finished" not in shown
    made = [os.stat(trained / name).st_mtime_ns for name in ("results.json", "report.html")]
    assert made == sorted(made)


def test_another_extractor_adds_its_own_rows(folder, run, monkeypatch):
    """Its name and hash are on the distances alone."""
    asked = []

    def load(path):
        asked.append(path)
        features = lambda images: thumbnails(images)[:, 1:] ** 2  # noqa: E731
        return SimpleNamespace(name="Inception-v3 (w.npz)", digest="789", features=features)

    assert run(WORKDIR=str(folder), N=40, CHECKPOINT="last") == 0
    before = rows(folder)
    monkeypatch.setattr("jaxgan.metrics.extractors.inception.load", load)
    assert run(WORKDIR=str(folder), N=40, CHECKPOINT="last", _INCEPTION="w.npz") == 0
    assert asked == ["w.npz"]
    after = rows(folder)
    assert after[: len(before)] == before
    of = {m["name"]: m for m in after[len(before) :]}
    assert set(of) == {
        "frechet_distance", "kernel_distance", "precision", "recall", "density", "coverage",
        "two_sample_accuracy",
    }  # fmt: skip
    assert {(m["extractor"], m["extractor_hash"]) for m in of.values()} == {
        ("Inception-v3 (w.npz)", "789")
    }
    [old] = [m for m in before if m["name"] == "frechet_distance" and m["checkpoint"] == "last"][:1]
    assert of["frechet_distance"]["value"] != old["value"]


def lock(folder):
    file = open(folder / ".lock", "w")
    fcntl.flock(file, fcntl.LOCK_EX)
    return file


def no_results(folder):
    os.remove(folder / "results.json")


def earlier_results(folder):
    results = json.loads((folder / "results.json").read_text())
    (folder / "results.json").write_text(json.dumps(results | {"step": 1}))


def no_checkpoint(folder):
    shutil.rmtree(folder / "checkpoints")


def other_data(folder):
    about = json.loads((folder / "config.json").read_text())
    about["dataset"]["sha256"] = "0123"
    (folder / "config.json").write_text(json.dumps(about))


def nothing(folder):
    del folder


@pytest.mark.parametrize(
    ("change", "flags", "said"),
    [
        (lock, {}, "another process is at work"),
        (no_results, {}, "has not finished: its last checkpoint is of step 2"),
        (earlier_results, {}, "has not finished"),
        (no_checkpoint, {}, "has no checkpoint yet"),
        (other_data, {}, "was trained on other images or labels than digits has now"),
        (nothing, {"SEED": 2}, "seed=2: "),
        (nothing, {"N": 1}, "n=1: must be from 2 to"),
        (nothing, {"WORKDIR": ""}, "--workdir is missing"),
        (nothing, {"WORKDIR": "nowhere"}, "nowhere holds no run"),
        (nothing, {"_INCEPTION": "nowhere.npz"}, "nowhere.npz: cannot be read"),
        (nothing, {"_METRICS": ["coverage", "nmi"]}, "'nmi' is no metric of this run"),
        (nothing, {"_METRICS": ["seed_agreement"]}, "measured at the end of training alone"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_refuses_what_cannot_be_evaluated(folder, run, capsys, change, flags, said):
    held = change(folder)
    before = (folder / "results.json").read_bytes() if change is not no_results else None
    assert run(**{"WORKDIR": str(folder)} | flags) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert len(printed.err.splitlines()) <= 2
    assert "measure" not in printed.out
    assert before is None or (folder / "results.json").read_bytes() == before
    if held is not None:
        held.close()


def test_the_flags_of_two_commands_live_in_one_process():
    from jaxgan import sample

    assert sample.SEED is evaluate.SEED is cli.SEED


def row(**values):
    shared = {
        "name": "a",
        "seed": 0,
        "step": 5,
        "checkpoint": "last",
        "split": "test",
        "code": None,
    }
    return {**shared, "extractor": None, "extractor_hash": None, "value": 0, **values}


@pytest.mark.parametrize(
    "part",
    ["name", "seed", "step", "checkpoint", "split", "code", "extractor", "extractor_hash"],
)
def test_a_row_replaces_only_its_own_kind(part):
    old = [row(name="before"), row(), row(name="after")]
    assert [m["value"] for m in results_lib.merge_results(old, [row(value=7)])] == [0, 7, 0]
    other = row(value=7, **{part: "other"})
    assert results_lib.merge_results(old, [other]) == [*old, other]


def test_rows_of_an_older_version_are_replaced():
    bare = {name: row()[name] for name in ("name", "seed", "step", "checkpoint", "split", "code")}
    assert results_lib.merge_results([bare | {"value": 1}], [row(value=7)]) == [row(value=7)]


def test_two_extractors_are_not_averaged():
    shown = format_table(
        [
            row(value=1.0, unit="1", reference=None, extractor="eyes", extractor_hash="12"),
            row(value=3.0, unit="1", reference=None, extractor="eyes", extractor_hash="34"),
        ]
    )
    assert "a (eyes 12)" in shown
    assert "a (eyes 34)" in shown
    assert "2.0" not in shown


def test_best_networks_that_are_the_last_share_their_lines():
    about = {"unit": "1", "reference": None}
    both = [row(checkpoint=name, value=0.25, **about) for name in ("last", "best")]
    (line,) = format_table(both).splitlines()[1:]
    assert "last and best, step" in line
    better = [both[0], {**both[1], "step": both[0]["step"] - 1}]
    assert [line.split()[2] for line in format_table(better).splitlines()[1:]] == ["last,", "best,"]


def test_metrics_apply_to_the_runs_that_have_what_they_need():
    def names(dataset, **gan):
        gan = SimpleNamespace(**{"q": None, "condition": None} | gan)
        return [m.function.__name__ for m in registry.applicable_metrics(gan, dataset)]

    single = digits.load(8)
    pictures = names(single)
    assert {"frechet_distance", "memorisation", "parzen_log_likelihood"} < set(pictures)
    assert pictures[-1] == "svm_accuracy"
    codes = ["codes_of_real_images", "codes_of_generated_images"]
    assert names(ring.load()) == ["modes_found"]
    assert names(single, q=object()) == codes + pictures
    drawn = dataclasses.replace(single, factors=(Factor("angle"),))
    assert names(drawn, q=object()) == [*codes, "codes_against_factors", *pictures]
    assert names(drawn) == pictures
    label = Label(10, tuple(range(10)))
    labels = ["conditional_accuracy", "nearest_neighbour_error"]
    assert names(single, condition=label) == labels + pictures
    assert names(stacked.load(single)) == [*pictures[:-1], "modes_of_stacked_digits"]


def test_an_infogans_images_are_measured_too():
    config = update(load_config("infogan"), SMALL | {"best_by": "none", "dataset.size": 8})
    dataset = digits.load(8)
    gan = build_gan(config, dataset.image_shape)
    nets = networks(jax.jit(lambda: initialise(gan, jax.random.key(0)))())
    last = Run(config, gan, nets, (), 3, "last", 5)
    raw = networks(jax.jit(lambda: initialise(gan, jax.random.key(1)))())
    runs = [
        dataclasses.replace(last, checkpoint="raw", networks=raw),
        last,
        dataclasses.replace(last, checkpoint="best"),
    ]
    found = runner.evaluate(runs, dataset, 40, 200, bar=False)
    of = {(m.name, m.checkpoint): m for m in found.metrics}
    for name in ("code_accuracy", "information_bound", "frechet_distance", "svm_accuracy_pixels"):
        # The best step is the last one: not measured twice.
        assert of[name, "best"] == dataclasses.replace(of[name, "last"], checkpoint="best")
        # The networks without their averages are others, of the same step.
        pixels = name == "svm_accuracy_pixels"
        assert (of[name, "raw"].value == of[name, "last"].value) == pixels
    frechet = of["frechet_distance", "last"]
    assert (frechet.extractor, frechet.extractor_hash) == ("a classifier", "abc")
    assert (frechet.seed, frechet.step) == (5, 3)
    assert np.isfinite([m.value for m in found.metrics]).all()
    assert set(found.seconds) == {
        m.function.__name__ for m in registry.applicable_metrics(gan, dataset)
    }
    assert list(found.neighbours) == [5]
    assert found.confusion == {}


def test_measures_labels_of_generated_images():
    """The error of 1-NN on generated images, and the confusion table of the networks."""
    config = update(load_config("cgan", "mlp"), SMALL | {"dataset.size": 8})
    dataset = digits.load(8)
    gan = build_gan(config, dataset.image_shape, Label(10, tuple(range(10))))
    nets = networks(jax.jit(lambda: initialise(gan, jax.random.key(0)))())
    found = runner.evaluate([Run(config, gan, nets, (), 3, "last", 5)], dataset, 50, bar=False)
    of = {m.name: m for m in found.metrics}
    error = of["nearest_neighbour_error"]
    # Fitted on 50 images each; an untrained generator's are as good as chance.
    assert (error.n_generated, error.n_real, error.split) == (50, 50, "test")
    assert 0.05 < error.reference < 0.6 < error.value
    lines = found.confusion[5].splitlines()
    assert [line.split()[0] for line in lines] == ["requested", *map(str, range(10))]
    right = sum(int(line.split()[1 + i]) for i, line in enumerate(lines[1:]))
    assert right / 50 == pytest.approx(of["conditional_accuracy"].value)
    assert all(sum(map(int, line.split()[1:11])) == 5 for line in lines[1:])
