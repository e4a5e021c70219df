"""Walks and arithmetic on noises, and the command that draws them."""

import dataclasses
import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from conftest import load_config
from PIL import Image

from jaxgan import walk
from jaxgan.common.errors import UserError
from jaxgan.config.presets import update
from jaxgan.inference import interpolation
from jaxgan.inference.trained_run import Run
from jaxgan.models.conditions import Label
from jaxgan.models.latents import Code, Latent, LatentSpec
from jaxgan.reporting import latent_figures
from jaxgan.reporting.images import GROUND, cut, read_png, save_gif
from jaxgan.training.gan import build_gan
from jaxgan.training.state import initialise, networks

SHARES = np.linspace(0, 1, 7, dtype=np.float32)


def two(n=100, seed=0):
    draw = np.random.default_rng(seed)
    return (draw.normal(size=n) * s for s in (1, 2))


def angle(x, y):
    return np.arccos(x @ y / np.linalg.norm(x) / np.linalg.norm(y))


# --- The ways


def test_the_arc_turns_evenly_and_its_length_goes_evenly():
    a, b = (x.astype(np.float32) for x in two())
    way = np.asarray(interpolation.spherical(a, b, SHARES), np.float64)
    lengths = (1 - SHARES) * np.linalg.norm(a) + SHARES * np.linalg.norm(b)
    np.testing.assert_allclose(np.linalg.norm(way, axis=1), lengths, rtol=1e-5)
    whole = angle(a.astype(np.float64), b.astype(np.float64))
    np.testing.assert_allclose([angle(a, x) for x in way[1:]], SHARES[1:] * whole, rtol=1e-4)
    np.testing.assert_allclose(
        [angle(x, b) for x in way[:-1]], (1 - SHARES[:-1]) * whole, rtol=1e-4
    )


def test_the_arc_between_equal_lengths_is_shoemakes():
    a, b = (x / np.linalg.norm(x) * 3 for x in two(5))
    omega = angle(a, b)
    t = SHARES[:, None].astype(np.float64)
    slerp = (np.sin((1 - t) * omega) * a + np.sin(t * omega) * b) / np.sin(omega)
    np.testing.assert_allclose(
        interpolation.spherical(*map(np.float32, (a, b)), SHARES), slerp, atol=1e-5
    )


@pytest.mark.parametrize("b", [[2.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
def test_where_there_is_no_one_arc_it_is_the_line(b):
    a, b = jnp.array([1.0, 0.0]), jnp.array(b)
    line = interpolation.linear(a, b, SHARES)
    np.testing.assert_allclose(line[3], (a + b) / 2, atol=1e-6)
    np.testing.assert_allclose(interpolation.spherical(a, b, SHARES), line, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("prior", ["normal", "uniform", "hypercube"])
@pytest.mark.parametrize("way", ["", *interpolation.WAYS])
def test_every_way_begins_and_ends_at_its_noises_and_stays_in_the_prior(prior, way):
    a, b = LatentSpec(50, prior).sample(jax.random.key(0), 2).noise
    led = interpolation.between(a, b, SHARES, prior, way)
    np.testing.assert_allclose(led[0], a, atol=1e-4)
    np.testing.assert_allclose(led[-1], b, atol=1e-4)
    if prior != "normal":
        assert led.min() >= {"uniform": -1, "hypercube": 0}[prior]
        assert led.max() <= 1


@pytest.mark.parametrize("prior", ["normal", "uniform", "hypercube"])
def test_the_middle_of_a_spherical_way_is_distributed_like_the_prior(prior):
    """And that of a line is not: its variance is half as large."""
    ends = LatentSpec(2_000, prior).sample(jax.random.key(1), 2).noise
    middle = jnp.array([0.5])
    variance = {"normal": 1, "uniform": 1 / 3, "hypercube": 1 / 12}[prior]
    for way, share in (("spherical", 1), ("linear", 0.5)):
        found = np.var(interpolation.between(*ends, middle, prior, way))
        assert found == pytest.approx(share * variance, rel=0.1)


def test_the_default_is_the_sources_way():
    a, b = LatentSpec(50, "uniform").sample(jax.random.key(0), 2).noise
    for prior, way in (("uniform", interpolation.linear), ("normal", interpolation.spherical)):
        found = interpolation.between(a, b, SHARES, prior)
        np.testing.assert_allclose(found, way(a, b, SHARES), rtol=1e-6, atol=1e-6)


def test_a_series_leads_from_each_noise_to_the_next():
    spec = LatentSpec(6, codes=(Code("categorical", 4),))
    drawn = spec.sample(jax.random.key(0), 4, jnp.eye(4))
    led = interpolation.series(drawn, np.linspace(0, 1, 5), "normal")
    noise = led.noise.reshape(3, 5, 6)
    np.testing.assert_allclose(noise[:, 0], drawn.noise[:-1], atol=1e-5)
    np.testing.assert_allclose(noise[:, -1], drawn.noise[1:], atol=1e-5)
    np.testing.assert_array_equal(led.condition.argmax(-1), np.repeat([0, 1, 2], 5))
    np.testing.assert_array_equal(led.codes[0], np.repeat(drawn.codes[0][:3], 5, axis=0))


# --- Arithmetic


def test_concepts_are_picked_once_each():
    read = np.array([1, 0, 1, 2, 1, 0, 1, 1, 1, 2])
    np.testing.assert_array_equal(interpolation.pick(read, (1, 1), 2), [[0, 2], [4, 6]])
    np.testing.assert_array_equal(interpolation.pick(read, (2, 0), 1), [[3], [1]])
    assert interpolation.pick(read, (1, 0, 2), 3) is None
    assert interpolation.pick(read, (1, 1), 4) is None


def test_the_mean_of_a_less_that_of_b_plus_that_of_c():
    draw = np.random.default_rng(0)
    latent = Latent(jnp.asarray(draw.normal(size=(9, 4)), jnp.float32), (), jnp.eye(9))
    places = np.array([[0, 3, 5], [1, 2, 4], [6, 7, 8]])
    result = interpolation.combined(interpolation.means(latent, places))
    a, b, c = (np.asarray(latent.noise)[p].mean(0) for p in places)
    np.testing.assert_allclose(result.noise, (a - b + c)[None], atol=1e-6)
    told = np.array([1, -1, -1, 1, -1, 1, 1, 1, 1]) / 3
    np.testing.assert_allclose(result.condition, told[None], atol=1e-6)


def test_around_a_result():
    centre = Latent(jnp.ones((1, 300)), (), jnp.eye(3)[:1])
    nine = interpolation.around(jax.random.key(0), centre)
    moved = np.asarray(nine.noise) - 1
    assert moved.shape == (9, 300)
    np.testing.assert_array_equal(moved[4], 0)
    others = np.delete(moved, 4, axis=0)
    assert -0.251 < others.min() < -0.24 < 0.24 < others.max() < 0.251
    np.testing.assert_array_equal(nine.condition, np.tile([1, 0, 0], (9, 1)))


# --- GIFs


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


# --- The command


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


def test_arithmetic_of_labels_that_the_network_was_told():
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


def test_what_cannot_be_calculated():
    run = small(label=True)
    drawn, names = run.latent(6), run.label_names
    told = [run, None, drawn, np.array([0, 0, 0, 1, 1, 2]), names]
    with pytest.raises(UserError, match="there is no nine"):
        latent_figures.arithmetic(*told, ["nine", "1", "2"], 0)
    with pytest.raises(UserError, match=r"too few show 0, 1, 2\nthere are: 0"):
        latent_figures.arithmetic(*told, ["0", "1", "2"], 0)
    assert latent_figures.arithmetic(*told, [], 0)[0] == ""  # Nobody asked.


def flags(monkeypatch, **values):
    names = ("WORKDIR", "CHECKPOINT", "SEED", "RUN_SEED", "DATA_DIR", "_WAY", "_CONCEPTS")
    told = dict.fromkeys(names) | {"_CONCEPTS": []} | values
    for name, value in told.items():
        monkeypatch.setattr(walk, name, types.SimpleNamespace(value=value))


def test_the_command_writes_into_the_runs_folder(tmp_path, monkeypatch, capsys):
    """Of a network that is told no label the concepts are read by a classifier, which wants the
    data: only where they are asked for."""
    run = dataclasses.replace(small(), run_seed=1)
    run.config.seeds = 2
    about = {"config": {"dtype": "float32"}, "dataset": {}}
    monkeypatch.setattr(walk, "read_about", lambda workdir: about)
    monkeypatch.setattr(walk, "load", lambda *told: run)
    monkeypatch.setattr(walk.jax_setup, "configure_jax", lambda dtype: None)
    monkeypatch.setattr(latent_figures, "FRAMES", 3)
    renewed = []
    monkeypatch.setattr(walk, "renew_report", lambda workdir, *_: renewed.append(workdir))
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
