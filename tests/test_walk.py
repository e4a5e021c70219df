"""jaxgan.walk: sheets and GIFs of the latent space."""

import dataclasses
import json
import types

import jax
import numpy as np
import pytest
from conftest import load_config
from PIL import Image

from jaxgan import walk
from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.inference import interpolation
from jaxgan.inference.pictures import GROUND
from jaxgan.inference.trained_run import Run
from jaxgan.models.conditions import Label
from jaxgan.reporting import latent_figures, sheet_paths
from jaxgan.reporting.images import cut, read_png, save_gif, save_png
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks


def frames_of(path):
    with Image.open(path) as file:
        for i in range(file.n_frames):
            file.seek(i)
            yield np.asarray(file.convert("RGB")), dict(file.info)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_gif_shows_its_frames_in_turn(tmp_path, channels):
    draw = np.random.default_rng(0)
    # At most 256 colours, which is what a frame has.
    frames = list(draw.integers(0, 256, (4, 9, 7, channels), dtype=np.uint8))
    save_gif(str(tmp_path / "new" / "one.gif"), frames, 0.2, last=1.0)
    found = list(frames_of(tmp_path / "new" / "one.gif"))
    for (picture, info), frame, stays in zip(found, frames, (200, 200, 200, 1000), strict=True):
        np.testing.assert_array_equal(picture, np.broadcast_to(frame, (9, 7, 3)))
        assert info["duration"] == stays
        assert info["loop"] == 0


def small(label=False):
    """A run of a dense network as the default config has it, untrained."""
    values = {"width": 0.02, "latent.noise": 5, "dataset.name": "digits"}
    config = update(load_config("gan"), values)
    condition = Label(10, tuple(range(10))) if label else None
    if label:
        config = update(load_config("cgan", "mlp"), values | {"sample_dropout": False})
    gan = build_gan(config, (28, 28, 1), condition)
    nets = networks(jax.jit(lambda: initialise(gan, jax.random.key(0)))())
    return Run(config, gan, nets, tuple("0123456789"), 7, "last")


def test_the_sheet_and_the_frames_of_a_walk():
    run = small()
    sheet, frames = latent_figures.walk(run, latent_figures.drawer(run), 0)
    images = cut(sheet, 28, 28)
    assert images.shape == (10, 10, 28, 28, 1)
    # A row ends where the next begins.
    np.testing.assert_allclose(images[:-1, -1].astype(int), images[1:, 0], atol=1)
    ends = run.sample(11)
    np.testing.assert_allclose(images[:, 0].astype(int), ends[:-1], atol=1)
    assert len(frames) == 2 * latent_figures.FRAMES - 2
    np.testing.assert_array_equal(frames[1], frames[-1])
    for frame, column in ((frames[0], 0), (frames[23], 9)):
        shown = cut(frame[::2, ::2], 28, 28)[1, 4]
        # Drawn in another batch: a shade more or less.
        np.testing.assert_allclose(shown.astype(int), images[9, column], atol=1)


def test_arithmetic_on_conditioned_labels():
    run = small(label=True)
    draw = latent_figures.drawer(run)
    drawn, read, names = latent_figures.candidates(run, draw, 0, {}, "")
    np.testing.assert_array_equal(read[:12], [*range(10), 0, 1])
    said, sheet = latent_figures.arithmetic(run, draw, drawn, read, names, ["3", "3", "7"], 0)
    assert said == "3 - 3 + 7"
    places = interpolation.pick(read, (3, 3, 7))
    result = interpolation.combined(interpolation.means(drawn, places))
    np.testing.assert_allclose(result.condition[0], np.eye(10)[7], atol=1e-6)
    left = sheet[18:, : 3 * 60 + 4][::2, ::2]
    single = cut(left, 28, 28)
    assert single.shape == (4, 3, 28, 28, 1)
    # Drawn in other batches: a shade more or less.
    drawn_alone = run.sample(1000)[places[2, 1]]
    np.testing.assert_allclose(single[1, 2].astype(int), drawn_alone, atol=1)
    centre = cut(sheet[18:, 3 * 60 + 4 + 8 :][::2, ::2], 28, 28)[1, 1]
    np.testing.assert_allclose(centre.astype(int), draw(result)[0], atol=1)
    assert (sheet[-40:, -20:] == GROUND).all()


def test_arithmetic_names_labels_it_lacks():
    run = small(label=True)
    drawn, names = run.latent(6), run.label_names
    given = [run, None, drawn, np.array([0, 0, 0, 1, 1, 2]), names]
    with pytest.raises(UserError, match="there is no nine"):
        latent_figures.arithmetic(*given, ["nine", "1", "2"], 0)
    with pytest.raises(UserError, match=r"too few show 0, 1, 2\nthere are: 0"):
        latent_figures.arithmetic(*given, ["0", "1", "2"], 0)
    assert latent_figures.arithmetic(*given, [], 0)[0] == ""  # Nobody asked.


def flags(monkeypatch, **values):
    names = ("WORKDIR", "CHECKPOINT", "SEED", "RUN_SEED", "DATA_DIR", "_WAY", "_CONCEPTS")
    given = dict.fromkeys(names) | {"_CONCEPTS": []} | values
    for name, value in given.items():
        monkeypatch.setattr(walk, name, types.SimpleNamespace(value=value))


def test_the_command_writes_into_the_runs_folder(tmp_path, monkeypatch, capsys):
    """Of a network without a label the concepts are read by a classifier, which wants the
    data: only where they are asked for."""
    run = dataclasses.replace(small(), run_seed=1)
    run.config.seeds = 2
    about = {"config": {"dtype": "float32"}, "dataset": {}}
    monkeypatch.setattr(walk, "read_about", lambda workdir: about)
    monkeypatch.setattr(walk, "load", lambda *given: run)
    monkeypatch.setattr(walk.jax_setup, "configure_jax", lambda dtype: None)
    monkeypatch.setattr(latent_figures, "FRAMES", 3)
    renewed = []
    monkeypatch.setattr(walk, "renew_report", lambda workdir, *_, **__: renewed.append(workdir))
    samples = tmp_path / "samples"
    samples.mkdir()
    for step, shade in ((400, 9), (1200, 200)):
        Image.new("L", (90, 40), shade).save(samples / f"step_{step:06}_seed_1.png")
    (samples / "step_000400_seed_0.png").touch()
    (samples / "step_000400_code_1_seed_1.png").touch()
    flags(monkeypatch, WORKDIR=str(tmp_path))
    assert walk.main([]) == 0
    assert "arithmetic.png is left out" in capsys.readouterr().out
    assert renewed == [str(tmp_path)]
    assert {one.name for one in tmp_path.iterdir()} == {
        "samples",
        "training_seed_1.gif",
        "walk_seed_1.gif",
        "walk_seed_1.png",
    }
    training = list(frames_of(tmp_path / "training_seed_1.gif"))
    assert [picture[30, 30, 0] for picture, _ in training] == [9, 200]
    assert training[0][0][:18].max() > 200
    read = np.arange(latent_figures.CANDIDATES) % 10
    reader = types.SimpleNamespace(predict=lambda images: read)
    whole = types.SimpleNamespace(label_names=tuple("abcdefghij"))
    dataset = types.SimpleNamespace(whole=whole)
    monkeypatch.setattr(latent_figures.data, "load", lambda config: dataset)
    monkeypatch.setattr(latent_figures.run_folder, "check_same_data", lambda *_: None)
    shown = types.SimpleNamespace(classifier=reader)
    monkeypatch.setattr(latent_figures, "RealFeatures", lambda _: shown)
    flags(monkeypatch, WORKDIR=str(tmp_path), _CONCEPTS=["c", "a", "c"])
    assert walk.main([]) == 0
    assert "arithmetic: c - a + c" in capsys.readouterr().out
    assert read_png(str(tmp_path / "arithmetic_seed_1.png")).shape[2] == 1
    # A mistake costs none of the files.
    before = {one.name: one.stat().st_mtime_ns for one in tmp_path.iterdir()}
    flags(monkeypatch, WORKDIR=str(tmp_path), _CONCEPTS=["c", "a", "z"], SEED=1)
    assert walk.main([]) == 2
    assert "there is no z" in capsys.readouterr().err
    assert {one.name: one.stat().st_mtime_ns for one in tmp_path.iterdir()} == before


def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys):
    for values, said in (
        ({}, "--workdir is missing"),
        ({"WORKDIR": str(tmp_path)}, "holds no run"),
        ({"WORKDIR": str(tmp_path), "_CONCEPTS": ["1", "2"]}, "three labels are wanted"),
    ):
        flags(monkeypatch, **values)
        assert walk.main([]) == 2
        assert said in capsys.readouterr().err
    (tmp_path / "config.json").write_text(json.dumps({}))
    assert list(tmp_path.iterdir()) == [tmp_path / "config.json"]


def test_damaged_sheets_are_left_out_of_the_gif(tmp_path):
    for step in (0, 10, 20):
        name = sheet_paths.file_name(step, None, "")
        save_png(str(tmp_path / sheet_paths.FOLDER / name), np.full((8, 8, 1), step, np.uint8))
    damaged = tmp_path / sheet_paths.FOLDER / sheet_paths.file_name(10, None, "")
    damaged.write_bytes(damaged.read_bytes()[:20])
    assert len(latent_figures.training(str(tmp_path), small())) == 2
