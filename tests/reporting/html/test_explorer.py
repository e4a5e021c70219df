"""The latent explorer of a report: the tiles of its atlas, and the script that shows them."""

import base64
import dataclasses
import io
import itertools
import json
import re

import browser
import jax
import numpy as np
import pytest
from PIL import Image
from small_networks import small_infogan

from jaxgan.inference import interpolation
from jaxgan.inference.trained_run import Run
from jaxgan.models.conditions import Features, Label, MaskedImage
from jaxgan.models.latents import LatentSpec, parse_codes
from jaxgan.reporting import explorer
from jaxgan.reporting.explorer import Layout
from jaxgan.reporting.html import report
from jaxgan.reporting.html.run_data import Run as RunData
from jaxgan.training.state import initialise, networks

SMALL = Layout(choices=3, noises=3, points=5, positions=9, groups=((0, 1), (2,)))


def small_run(codes="categorical:3+uniform:2"):
    """A run of 8x8 images without its networks."""
    gan = small_infogan("continuous", **{"latent.codes": codes})
    return Run(gan.config, gan, None, tuple("abc"), 7, "best")


def tiles_of(layout):
    """What each tile shows: choice, first and second noise, point of the path between them, and the
    position of each code."""
    count, centre = sum(map(len, layout.groups)), layout.positions // 2
    tiles = []
    for choice in range(layout.choices):
        for group in layout.groups:
            for noise in range(layout.noises):
                for places in itertools.product(range(layout.positions), repeat=len(group)):
                    codes = dict.fromkeys(range(count), centre) | dict(
                        zip(group, places, strict=True)
                    )
                    tiles.append((choice, noise, noise, 0, tuple(codes.values())))
        for a, b in itertools.combinations(range(layout.noises), 2):
            tiles += [(choice, a, b, point, (centre,) * count) for point in range(layout.points)]
    return tiles


def tile_of(one, number):
    """A tile of an explorer's atlas, uint8 [H, W]."""
    atlas = np.asarray(Image.open(io.BytesIO(base64.b64decode(one.uri.partition(",")[2]))))
    height, width, columns = (one.layout[key] for key in ("height", "width", "columns"))
    top, left = number // columns * height, number % columns * width
    return atlas[top : top + height, left : left + width]


# --- The atlas


def test_latents_are_in_the_order_of_the_layout():
    """With a second categorical code, which stays at 0."""
    run = small_run("uniform:1+categorical:3+categorical:2+uniform:2")
    latent = explorer.latents(run, SMALL)
    noises, prior = run.latent(SMALL.noises).noise, run.gan.latent.noise_prior
    shares, values = np.linspace(0, 1, 5, dtype=np.float32), np.linspace(-2, 2, 9)
    tiles = tiles_of(SMALL)
    assert len(latent.noise) == SMALL.tiles == len(tiles) == len(set(tiles)) + 3 * 3
    np.testing.assert_array_equal(latent.codes[1], np.eye(3)[[tile[0] for tile in tiles]])
    np.testing.assert_array_equal(latent.codes[2], np.eye(2)[[0] * len(tiles)])
    continuous = np.concatenate([latent.codes[i] for i in (0, 3, 4)], axis=1)
    np.testing.assert_array_equal(continuous, values[[tile[4] for tile in tiles]])
    paths = {
        (a, b): interpolation.between(noises[a], noises[b], shares, prior)
        for a, b in itertools.combinations(range(3), 2)
    }
    wanted = [noises[a] if a == b else paths[a, b][point] for _, a, b, point, _ in tiles]
    np.testing.assert_allclose(latent.noise, np.stack(wanted), atol=1e-6)


def altered(run, **changes):
    """A run with another prior, condition or shape, of which nothing can be drawn."""
    return dataclasses.replace(run, gan=dataclasses.replace(run.gan, **changes))


def test_tiles_of_labels_have_the_label_as_condition():
    run = altered(small_run(), condition=Label(4, (0, 2, 3)), latent=LatentSpec(5))
    layout = SMALL._replace(groups=())
    latent = explorer.latents(run, layout)
    wanted = np.eye(4)[[(0, 2, 3)[tile[0]] for tile in tiles_of(layout)]]
    np.testing.assert_array_equal(latent.condition, wanted)
    assert latent.codes == ()


def test_a_tile_is_the_image_of_its_latent():
    run = small_run()
    nets = networks(jax.jit(lambda: initialise(run.gan, jax.random.key(0)))())
    run = dataclasses.replace(run, networks=nets)
    one = explorer.explorer(run)
    assert (one.choice, one.options, one.codes) == (
        "Code 0",
        ["0", "1", "2"],
        [("Code 1", 0), ("Code 2", 0)],
    )
    assert one.note == (
        "Images by the best networks (step 7), drawn when this page was made."
        " Between two noises the continuous codes are 0."
    )
    layout = Layout(*(one.layout[field] for field in Layout._fields))
    assert (layout.noises, layout.points, layout.positions) == (6, 9, 9)
    number = tiles_of(layout).index((2, 0, 0, 0, (1, 6)))
    # The noise of `sample` is that of a tile: the first one.
    wanted = run.sample(layout.noises, code=2, continuous=(-1.5, 1.0))[0]
    np.testing.assert_allclose(tile_of(one, number).astype(int), wanted[..., 0], atol=1)


@pytest.mark.parametrize(
    ("codes", "shape", "sizes"),
    [
        ("categorical:10", (28, 28, 1), (6, 9, 9)),
        ("categorical:10+uniform:2", (28, 28, 1), (4, 5, 5)),
        ("categorical:10+uniform:6", (28, 28, 1), (2, 5, 5)),
        ("", (64, 64, 3), (6, 9, 9)),
        ("", (128, 128, 3), (4, 5, 5)),
        ("categorical:1000+uniform:9", (64, 64, 3), None),
    ],
)
def test_the_layout_is_the_finest_that_fits_the_budget(monkeypatch, codes, shape, sizes):
    """Of images that no PNG makes smaller."""
    run = altered(small_run(), latent=LatentSpec(5, codes=parse_codes(codes)), image_shape=shape)

    def noise(latent):
        sides = (len(latent.noise), *shape)
        return np.random.default_rng(0).integers(0, 256, sides, np.uint8)

    monkeypatch.setattr(explorer, "drawer", lambda run: noise)
    one = explorer.explorer(run)
    if sizes is None:
        assert one is None
        return
    assert tuple(one.layout[key] for key in ("noises", "points", "positions")) == sizes
    assert len(one.uri) <= explorer.BUDGET
    three = "code 1 and code 2; code 3 and code 4; code 5 and code 6."
    assert (three in one.note) == ("uniform:6" in codes)
    assert one.layout["columns"] * shape[1] <= 4_096
    smaller = explorer.explorer(run, explorer.BUDGET // 20)
    assert smaller is None or len(smaller.uri) <= explorer.BUDGET // 20


@pytest.mark.parametrize(
    "changes",
    [{"image_shape": (1, 1, 2)}, {"condition": MaskedImage(0.5)}, {"condition": Features(3)}],
)
def test_points_holes_and_tags_have_no_explorer(changes):
    assert explorer.explorer(altered(small_run(), **changes)) is None


# --- The page


def render(*explorers):
    """A report of as many small runs."""
    dataset = {"train": 1000, "image_shape": [8, 8, 1], "classes": []}
    about = {"config": {"system": "infogan", "batch_size": 8}, "dataset": dataset}
    row = {"step": 1, "seed": 0, "loss/generator": 1.0}
    runs = [
        RunData(f"run {i}", about, [row], [], None, [], [], "", {}, [])
        for i in range(len(explorers))
    ]
    shown = {run.name: one for run, one in zip(runs, explorers, strict=True) if one}
    return report.render(runs, explorers=shown)


def numbered(note="By the best networks."):
    """An explorer whose tiles are their numbers, in two pixels."""
    numbers = np.arange(SMALL.tiles)
    images = np.stack([numbers // 256, numbers % 256], axis=1).astype(np.uint8)
    png, layout = explorer.atlas(images[:, None, :, None], SMALL)
    uri = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    codes = [("Code 1", 0), ("Code 2", 0), ("Code 3", 1)]
    return explorer.Explorer(note, "Code 0", ["'one'", '"two"', "<b>"], codes, layout, uri)


def test_every_control_has_a_label_and_every_run_its_explorer():
    shown = render(numbered(), None, numbered("<a note>"))
    assert shown.count(">Latent explorer</h2>") == 1
    assert re.findall("<h3>(run .)</h3>", shown) == ["run 0", "run 2"]
    controls = re.findall(r'<(?:select|input) id="(explorer-[^"]*)"', shown)
    assert len(controls) == len(set(controls)) == 2 * 7
    for control in controls:
        assert shown.count(f'<label for="{control}">') == 1
    assert 'min="-2.0" max="2.0" step="0.5" value="0"' in shown
    assert "<option>&lt;b&gt;</option>" in shown
    assert "&lt;a note&gt;" in shown
    assert ">Latent explorer<" not in render(None)


STATES = {
    "start": {},
    "codes": {"choice": 2, "from": 1, "code-0": 1.5, "code-1": -2},
    "another group": {"choice": 2, "from": 2, "code-0": 1, "code-2": 0.5},
    "on a path": {"code-0": 1, "path": 0.25, "from": 1, "to": 2},
    "back on it": {"path": 0.25, "from": 2, "to": 0},
    "to itself": {"to": 0, "path": 0.5},
}
USER = """
setTimeout(() => {
  const box = document.querySelector(".explorer");
  const copy = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const set = (key, value) => {
    const control = document.getElementById(`explorer-0-${key}`);
    if (control.options) control.selectedIndex = value; else control.value = value;
    control.dispatchEvent(new Event("input", {bubbles: true}));
  };
  for (const [name, values] of Object.entries(STATES)) {
    for (const key of ["choice", "from", "code-0", "code-1", "code-2", "path"]) set(key, 0);
    set("to", 1);
    for (const [key, value] of Object.entries(values)) set(key, value);
    const canvas = box.querySelector("canvas");
    copy.drawImage(canvas, 0, 0);
    const data = copy.getImageData(0, 0, 2, 1).data;
    const found = [data[0] * 256 + data[4], canvas.getAttribute("aria-label"), box.hidden];
    const note = document.createElement("pre");
    note.textContent = `found ${name}|${found.join("|")}`;
    document.body.append(note);
  }
  console.error("planted");
}, 1000);
""".replace("STATES", json.dumps(STATES))


@browser.needed
def test_in_a_browser_the_image_is_the_tile_of_the_controls(tmp_path):
    """Planted are input events and a line in the console."""
    shown = render(numbered())
    for before, after in (
        ("script-src ", f"script-src '{report.content_hash(USER)}' "),
        ("</body>", f"<script>{USER}</script></body>"),
    ):
        assert shown.count(before) == 1
        shown = shown.replace(before, after)
    dom, console, requests = browser.browse(shown, tmp_path)
    found = dict(line.split("|", 1) for line in re.findall("found (.*?)<", dom))
    tiles = tiles_of(SMALL)

    def number(choice, a, b, point, *codes):
        return tiles.index((choice, a, b, point, codes))

    assert {name: int(line.partition("|")[0]) for name, line in found.items()} == {
        "start": number(0, 0, 0, 0, 4, 4, 4),
        "codes": number(2, 1, 1, 0, 7, 0, 4),
        "another group": number(2, 2, 2, 0, 4, 4, 5),
        "on a path": number(0, 1, 2, 1, 4, 4, 4),
        "back on it": number(0, 0, 2, 3, 4, 4, 4),
        "to itself": number(0, 0, 1, 2, 4, 4, 4),
    }
    said = "Generated image. Code 0: &lt;b&gt;; noise 2; code 1 at 1.5; code 2 at -2; code 3 at 0"
    assert found["codes"].partition("|")[2] == f"{said}|false"
    assert "; noise 2, 25 % of the way to noise 3;" in found["on a path"]
    assert [line.partition(",")[0] for line in console] == ['"planted"']
    assert requests == set()


# --- What loads the networks


def test_a_run_whose_networks_cannot_be_loaded_says_so(tmp_path, monkeypatch):
    said = []
    data = RunData("run", {}, [], [], None, [], [], "", {}, said)
    assert report._explorer(data, str(tmp_path), None, None, explorer.BUDGET) is None
    assert said == []  # It has no checkpoints yet.
    (tmp_path / "checkpoints").mkdir()
    assert report._explorer(data, str(tmp_path), None, None, explorer.BUDGET) is None
    assert said == ["There is no latent explorer: run holds no run."]
    monkeypatch.setattr(report.loading, "load", lambda workdir, modules: f"loaded from {workdir}")
    monkeypatch.setattr(explorer, "explorer", lambda trained, budget: trained)
    assert report._explorer(data, str(tmp_path), None, None, 1) == f"loaded from {tmp_path}"
    assert report._explorer(data, str(tmp_path), "given", None, 1) == "given"
    assert len(said) == 1
