"""Using a trained run: `jaxgan.load` and `python -m jaxgan.sample`."""

import dataclasses
import errno
import functools
import io
import json
import pickle
import signal

import jax
import numpy as np
import pytest
from conftest import load_config, run_forked, untrained
from ml_collections import ConfigDict
from PIL import Image

import jaxgan
import jaxgan.sample
from jaxgan import cli
from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.inference.loading import load_every
from jaxgan.inference.trained_run import Asked, Run
from jaxgan.train import train

SMALL = {
    "width": 0.05,
    "batch_size": 16,
    "steps": 2,
    "best_by": "parzen_log_likelihood",
    "eval_images": 20,
    "results_images": 20,
    "tensorboard": False,
    "progress": False,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Three runs: conditioned on a label, filling holes, and with codes."""
    root = tmp_path_factory.mktemp("runs")
    few = {"dataset.classes": "3+7+9"}
    for name, arg, more in (
        ("cgan", "mlp", few),
        ("cgan", "inpaint", {}),
        ("infogan", "continuous", {"best_by": "none", "ema_decay": 0.9}),
    ):
        config = update(load_config(name, arg), SMALL | more)
        with pytest.MonkeyPatch.context() as patch, untrained():
            # The reference classifier is another file's business.
            patch.setattr("jaxgan.evaluation.features.reference_classifier", lambda *_, **__: None)
            patch.setattr("jaxgan.evaluation.features.RealFeatures.classifier", None)
            train(config, str(root / (arg or name)))
    return root


def test_a_label_by_name_or_number(folders):
    run = jaxgan.load(str(folders / "mlp"))
    nines = run.sample(5, label="9")
    assert nines.shape == (5, 28, 28, 1)
    assert nines.dtype == np.uint8
    np.testing.assert_array_equal(nines, run.sample(5, label=9))
    assert not np.array_equal(nines, run.sample(5, label=7))
    assert not np.array_equal(nines, run.sample(5, label=9, seed=1))
    np.testing.assert_array_equal(run.latent(4).condition.argmax(-1), [3, 7, 9, 3])
    for label in ("4", "nine", -1):
        with pytest.raises(UserError, match=r"there are: 3, 7, 9"):
            run.sample(1, label=label)


def test_an_unknown_checkpoint_is_refused(folders):
    with pytest.raises(UserError, match=r"checkpoint='bets': not one of best, last, raw"):
        jaxgan.load(str(folders / "mlp"), "bets")


def test_labels_and_codes_may_be_lists_and_numpy_numbers(folders):
    run = jaxgan.load(str(folders / "mlp"))
    mixed = run.sample(4, label=["9", np.int64(3), 7])
    np.testing.assert_array_equal(mixed[[0, 3]], run.sample(4, label=9)[[0, 3]])
    np.testing.assert_array_equal(mixed[1], run.sample(4, label="3")[1])
    with pytest.raises(UserError, match=r"label=4: .*not trained on"):
        run.sample(2, label=[9, 4])
    coded = jaxgan.load(str(folders / "continuous"))
    np.testing.assert_array_equal(coded.sample(2, code=np.int64(3)), coded.sample(2, code=[3]))
    same = coded.sample(2, continuous=[np.float32(0.5)])
    np.testing.assert_array_equal(coded.sample(2, continuous=0.5), same)


@pytest.mark.parametrize("code", [2.5, "3", True])
def test_a_code_is_a_whole_number(folders, code):
    with pytest.raises(UserError, match="not a whole number"):
        jaxgan.load(str(folders / "continuous")).sample(1, code=code)


def test_a_run_is_found_from_another_folder(folders, monkeypatch):
    monkeypatch.chdir(folders)
    run = jaxgan.load("mlp")
    monkeypatch.chdir("/")
    assert run.history
    assert pickle.loads(pickle.dumps(jaxgan.train)) is jaxgan.train


@pytest.mark.parametrize("wrong", [{"image_shape": [0, 8, 1]}, {"classes": [99]}])
def test_data_that_no_run_can_have_is_refused(folders, tmp_path, wrong):
    about = json.loads((folders / "mlp" / "config.json").read_text())
    about["dataset"] |= wrong
    (tmp_path / "config.json").write_text(json.dumps(about))
    with pytest.raises(UserError, match="is damaged, or not a run's"):
        jaxgan.load(str(tmp_path))


def test_examples_of_given_noise(folders):
    run = jaxgan.load(str(folders / "continuous"))
    noise = np.asarray(run.latent(3, seed=5).noise)
    np.testing.assert_array_equal(
        run.generate(noise, seed=5, code=2), run.sample(3, seed=5, code=2)
    )
    assert not np.array_equal(run.generate(-noise, seed=5), run.generate(noise, seed=5))
    with pytest.raises(UserError, match=r"noise: \[3, 1\], not \[n, \d+\]"):
        run.generate(noise[:, :1])


def test_reads_the_codes_of_images(folders):
    run = jaxgan.load(str(folders / "continuous"))
    images = run.sample(30)
    probabilities, *continuous = run.read_codes(images)
    assert probabilities.shape == (30, 10)
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-5)
    assert [values.shape for values in continuous] == [(30,), (30,)]
    for wrong in (images[0], images[:0], images.astype(np.float32)):
        with pytest.raises(UserError, match="images: "):
            run.read_codes(wrong)
    with pytest.raises(UserError, match="no codes to read"):
        jaxgan.load(str(folders / "mlp")).read_codes(images)


def test_rows_and_measures_of_the_loaded_seed(folders, tmp_path):
    workdir = str(folders / "mlp")
    run = jaxgan.load(workdir)
    assert run.history[-1]["step"] == SMALL["steps"]
    names = {measure["name"] for measure in run.measures}
    assert "parzen_log_likelihood" in names
    assert {measure["checkpoint"] for measure in run.measures} == {"best"}
    # Those of other networks, such as of a run that has been continued since, are not its own.
    assert not dataclasses.replace(run, step=run.step + 1).measures
    assert not dataclasses.replace(run, run_seed=7).history
    assert not dataclasses.replace(run, run_seed=7).measures
    assert not dataclasses.replace(run, workdir="").history


def test_a_notebook_shows_a_run_as_samples_and_a_short_line(folders):
    for name, size in (("mlp", (604, 184)), ("continuous", (604, 604))):
        run = jaxgan.load(str(folders / name))
        with Image.open(io.BytesIO(run._repr_png_())) as picture:
            assert picture.size == size
        assert len(repr(run)) < 200
        assert str(folders / name) in repr(run)
    assert jaxgan.load(str(folders / "inpaint"))._repr_png_() is None


def test_a_run_names_its_folder_as_the_user_does(tmp_path, monkeypatch):
    """A notebook that is shared should not hold the path of its author's home."""
    config = load_config("gan", "ring")
    trained = Run(config, None, None, (), 5, "last", workdir=str(tmp_path / "runs" / "ring"))
    assert repr(trained) == f"<gan: the last networks (step 5), in {tmp_path}/runs/ring>"
    monkeypatch.chdir(tmp_path)
    assert repr(trained) == "<gan: the last networks (step 5), in runs/ring>"
    bucket = dataclasses.replace(trained, workdir="gs://bucket/ring")
    assert repr(bucket).endswith("in gs://bucket/ring>")


def test_the_module_of_training_trains_and_loads(folders):
    """`jaxgan.train(…)` of a finished run, which only loads it."""
    config = update(load_config("cgan", "mlp"), SMALL | {"dataset.classes": "3+7+9"})
    run = jaxgan.train(config, str(folders / "mlp"))
    with pytest.raises(UserError, match="nosuch: no file"):
        jaxgan.train("nosuch", str(folders / "mlp"))
    np.testing.assert_array_equal(run.sample(2), jaxgan.load(str(folders / "mlp")).sample(2))


def test_a_signal_that_stops_a_run_is_an_interrupt(monkeypatch):
    monkeypatch.setattr("jaxgan.train.train", lambda *_: 128 + signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        jaxgan.train(ConfigDict(), "anywhere")


def test_another_seed_drops_other_activations(folders):
    """Where the noise plays no part, dropout in sampling is all that varies the images."""
    run = jaxgan.load(str(folders / "mlp"))
    params = {**run.networks.generator.params}
    params["noise"] = jax.tree.map(np.zeros_like, params["noise"])
    generator = run.networks.generator._replace(params=params)
    run = dataclasses.replace(run, networks=run.networks._replace(generator=generator))
    assert not np.array_equal(run.sample(1, label=9), run.sample(1, label=9, seed=1))
    np.testing.assert_array_equal(run.sample(1, label=9), run.sample(1, label=9))


def test_samples_of_given_codes(folders):
    run = jaxgan.load(str(folders / "continuous"))
    assert run.checkpoint == "last"
    latent = run.latent(3, asked=Asked(codes=(4,), continuous=(0.5,)))
    np.testing.assert_array_equal(latent.codes[0].argmax(-1), [4, 4, 4])
    np.testing.assert_array_equal(latent.codes[1], np.full((3, 1), 0.5, np.float32))
    assert len(np.unique(latent.codes[2])) == 3
    for wrong in ({"code": 10}, {"code": (1, 2)}, {"continuous": (1, 2, 3)}, {"label": "1"}):
        with pytest.raises(UserError):
            run.sample(1, **wrong)


def test_refuses_numbers_beyond_its_limit(folders):
    run = jaxgan.load(str(folders / "mlp"))
    for wrong in (0, 100_001, 10**12):
        with pytest.raises(UserError, match=f"n={wrong}: must be at"):
            run.sample(wrong)


def test_inpaints_an_image(folders):
    run = jaxgan.load(str(folders / "inpaint"))
    image = np.random.default_rng(0).integers(0, 256, (28, 28, 1), dtype=np.uint8)
    filled = run.sample(3, image=image)
    known = np.asarray(run.gan.condition.mask(28, 28))
    np.testing.assert_array_equal(filled[:, known], np.repeat(image[None], 3, axis=0)[:, known])
    assert not np.array_equal(filled[0], filled[1])
    with pytest.raises(UserError, match="needs an image"):
        run.sample(1)
    with pytest.raises(UserError, match=r"uint8"):
        run.sample(1, image=image[:20])


@pytest.mark.parametrize(("fit", "known"), [("crop", 255), ("pad", 0)])
def test_an_image_is_fitted_as_the_run_fitted_its_own(folders, tmp_path, fit, known):
    """A white square between black ends: a padded image begins with the left end."""
    run = jaxgan.load(str(folders / "inpaint"))
    config = update(ConfigDict(run.gan.config), {"dataset.fit": fit})
    run = dataclasses.replace(run, gan=dataclasses.replace(run.gan, config=config))
    wide = np.zeros((28, 84), np.uint8)
    wide[:, 28:56] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    read = jaxgan.sample.read_image(str(tmp_path / "wide.png"), run)
    assert read.shape == (28, 28, 1)
    assert read[14, 2] == known


def test_loads_last_or_best_and_changes_nothing(folders):
    before = sorted(str(path) for path in folders.rglob("*"))
    assert jaxgan.load(str(folders / "mlp"), "last").checkpoint == "last"
    assert jaxgan.load(str(folders / "mlp")).checkpoint == "best"
    assert sorted(str(path) for path in folders.rglob("*")) == before


def test_loads_the_networks_without_their_averages(folders):
    raw, last = (jaxgan.load(str(folders / "continuous"), name) for name in ("raw", "last"))
    assert (raw.checkpoint, raw.step, last.checkpoint) == ("raw", 2, "last")
    assert jaxgan.load(str(folders / "mlp"), "raw").checkpoint == "last"
    every = load_every(str(folders / "continuous"), seed=1)[1]
    assert [run.checkpoint for run in every] == ["raw", "last"]


def test_refuses_what_cannot_be_loaded(folders, tmp_path):
    with pytest.raises(UserError, match="holds no run"):
        jaxgan.load(str(tmp_path))
    with pytest.raises(UserError, match=r"has seeds 0 to 0, not 3"):
        jaxgan.load(str(folders / "mlp"), seed=3)


def sample(*arguments):
    return run_forked("jaxgan.sample", *arguments)


def test_the_command_writes_a_sheet_arrays_or_images(folders, tmp_path):
    for name in ("nines.png", "nines.npz", "nines"):
        flags = (f"--workdir={folders / 'mlp'}", "--label=9", "--n=9", f"--out={tmp_path / name}")
        done = sample(*flags)
        assert done.returncode == 0, done.stderr
    sheet = np.asarray(Image.open(tmp_path / "nines.png"))
    images = np.load(tmp_path / "nines.npz")["images"]
    assert sheet.shape == (3 * 30 + 2, 3 * 30 + 2)
    np.testing.assert_array_equal(sheet[2:30, 2:30], images[0, ..., 0])
    assert len(list((tmp_path / "nines").glob("*.png"))) == 9
    single = np.asarray(Image.open(tmp_path / "nines" / "8.png"))
    np.testing.assert_array_equal(single, images[8, ..., 0])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--workdir=nowhere", "--n=many"], "--n=many"),
        ([], "--workdir is missing"),
        (["--workdir=nowhere"], "holds no run"),
    ],
)
def test_mistakes_are_reported_in_few_lines(arguments, said):
    done = sample(*arguments)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_a_full_disk_is_status_1_and_leaves_no_torn_file(tmp_path, monkeypatch, capsys):
    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(np, "savez_compressed", full)
    images = np.zeros((2, 8, 8, 1), np.uint8)
    command = functools.partial(jaxgan.sample.write, str(tmp_path / "a.npz"), images, None, None)
    assert cli.run_command(command) == 1
    assert "No space left on device" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]
