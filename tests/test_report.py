"""The page of a run: `python -m jaxgan.report`."""

import errno
import json
import os
import re
import shutil
import subprocess
from types import SimpleNamespace

import numpy as np
import pytest
from jaxgan.page import diagram, page, runs
from jaxgan.page.markup import number, tag, text

from jaxgan.common.errors import UserError
from jaxgan.evaluation.results import MetricResult
from jaxgan.metrics.images.conditional_accuracy import confusion_table
from jaxgan.models.summary import Layer, describe
from jaxgan.report import main
from jaxgan.reporting.html import curves, pictures, tables
from jaxgan.reporting.images import save_png
from jaxgan.reporting.recorder import RunRecorder
from jaxgan.reporting.recorder import _sheet as sheet_of
from jaxgan.reporting.sheet_paths import Sheets

STEPS = (0, 10, 20, 30)
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
NETWORKS = "\n\n".join(
    (
        describe("generator", [Layer("dense", (16,), 80, 0), Layer("image", (8, 8, 1), 1088, 0)]),
        describe(
            "discriminator",
            [
                Layer("conv_1", (4, 4, 8), 1200, 0),
                Layer("conv_1_norm", (4, 4, 8), 16, 16),
                Layer("conv_1_dropout", (4, 4, 8), 0, 0),
                Layer("logit", (1,), 129, 0),
            ],
        ),
        describe("q", [Layer("dense", (8,), 1032, 0), Layer("code_0_logits", (10,), 90, 0)]),
    )
)


def measure(seed, value, checkpoint="last", **more):
    told = {"split": "test", "step": 30, "protocol": "matched", "n_real": 7, "reference": 0.5}
    told |= {"name": "code_accuracy", "value": value, "unit": "share"}
    return MetricResult(**told | {"seed": seed, "checkpoint": checkpoint} | more).as_json()


def write_run(folder, seeds=(0, 1), **config):
    """A small run as training and evaluating leave it, of a few files."""
    (folder / "samples").mkdir(parents=True)
    about = {
        "command": "python -m jaxgan.main --config=configs/infogan.py",
        "config": {
            "system": "infogan",
            "networks": "paper",
            "loss": "non_saturating",
            "latent.noise": 4,
            "latent.codes": "categorical:10+uniform:1",
            "batch_size": 32,
            "seed": 0,
            "seeds": len(seeds),
            "steps": 30,
        }
        | config,
        "dataset": {"name": "digits", "sha256": "abc", "train": 1205, "image_shape": [8, 8, 1]},
        "versions": {"jax": "0.10.2"},
        "device": "cpu",
        "devices": 1,
        "commit": "c0ffee",
    }
    (folder / "config.json").write_text(json.dumps(about))
    losses = ("loss/discriminator", "loss/generator", "loss/information", "loss/code_0")
    rows = [
        {"step": step, "seed": seed, **dict.fromkeys(losses, 1 / (step + seed + 1))}
        | {"time/images_per_s": 64.0, "logit/real": 0.5}
        for step in STEPS[1:]
        for seed in seeds
    ]
    rows[-1]["eval/nmi"] = 0.25
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    rng = np.random.default_rng(0)
    for step in STEPS:
        for seed in seeds:
            for sheet in ("", "_code_1"):
                of_seed = f"_seed_{seed}" if len(seeds) > 1 else ""
                path = folder / f"samples/step_{step:06}{sheet}{of_seed}.png"
                save_png(str(path), rng.integers(0, 256, (30, 30, 1), np.uint8))
    measures = [measure(seed, 0.75 + seed / 8) for seed in seeds]
    measures += [measure(seed, 0.5, "best", step=20) for seed in seeds]
    results = {"step": 30, "measures": measures, "rollbacks": [], "ended": {}}
    (folder / "results.json").write_text(json.dumps(results))
    (folder / "networks.txt").write_text(NETWORKS + "\n")
    counts = np.array([[9, 1], [0, 10]])
    labels = confusion_table(counts, ("T - shirt", "bag"))
    (folder / "confusion.txt").write_text(f"best networks, step 20\n{labels}\n")
    for name in ("strip.png", "neighbours.png", "curves.png"):
        save_png(str(folder / name), np.zeros((4, 4, 3), np.uint8))
    return folder


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run")


def report(*arguments):
    """The command; its exit status."""
    return main([str(argument) for argument in arguments])


def test_the_page_of_a_run_has_all_its_parts(run, capsys):
    assert report(f"--workdir={run}") == 0
    assert str(run / "report.html") in capsys.readouterr().out
    shown = (run / "report.html").read_text()
    sections = re.findall(r"<h2>(.*?)</h2>", shown)
    assert sections == [
        "What was run",
        "Curves",
        "Sheets over time",
        "Measures",
        "Confusion",
        "Pictures",
        "Networks",
    ]
    for fact in (
        "python -m jaxgan.main --config=configs/infogan.py",
        "30 of the generator, in batches of 32",
        "64, each of 2 seeds",
        "15 s",  # 30 updates of 32 images at 64 a second.
        "c0ffee",
        "0.10.2",
        "code_accuracy",
        "matched",
        "0.8125\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.7941",  # 12.706 times .0625.
        "last<small> step 30",
        "best<small> step 20",
        "Of the best networks, step 20.",
        "T - shirt",
        "code_0_logits",
        "neighbours.png",
    ):
        assert fact in shown, fact
    # Nothing that is drawn anew, and nothing from elsewhere.
    assert "curves.png" not in shown
    assert not re.findall(r"(?:src|href|url\()=?[\"']?(?!data:|#)[\w/]", shown)
    sources = re.findall(r'src="(.*?)[;"]', shown)
    assert sources == ["data:image/png"] * (len(STEPS) * 4 + 2)


def test_without_a_script_the_last_sheet_is_seen_and_three_are_printed(run):
    report(f"--workdir={run}")
    frames = re.findall(r"<figure( data-step[^>]*)>", (run / "report.html").read_text())
    assert len(frames) == 4 * len(STEPS)
    seen = [re.search(r'"(\d+)"', frame)[1] for frame in frames if "hidden" not in frame]
    assert seen == ["30"] * 4
    printed = [re.search(r'"(\d+)"', frame)[1] for frame in frames if "data-print" in frame]
    assert printed == ["0", "20", "30"] * 4


def test_what_a_run_says_is_no_markup(tmp_path):
    bad = "<script>alert(1)</script>\"'&"
    run = write_run(tmp_path / "<b>run", system=bad, **{"latent.codes": bad, "own.key": bad})
    rows = [measure(0, 1.0, name=bad, protocol=bad, unit=bad, split=bad)]
    (run / "results.json").write_text(json.dumps({"measures": rows, "ended": {"0": bad}}))
    (run / "networks.txt").write_text("<b>net\n  <b>layer  <b>  1  1\n")
    (run / "confusion.txt").write_text(bad)
    row = {"step": 30, "seed": 0, "loss/<b>": 1.0, "rolled": 1}
    with open(run / "metrics.jsonl", "a") as file:
        file.write(json.dumps(row) + "\n")
        file.write(json.dumps({"step": 1, "seed": 0, "rolled_back": bad}) + "\n")
    assert report(f"--workdir={run}") == 0
    shown = (run / "report.html").read_text()
    assert "<script>alert" not in shown
    assert shown.count("<script>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "<b>run" not in shown
    assert "<b>net" not in shown
    assert "<b>layer" not in shown


def test_markup():
    assert tag("a", text("<&"), class_="x", data_step=3, hidden=True, alt=None, id=False) == (
        '<a class="x" data-step="3" hidden>&lt;&amp;</a>'
    )
    assert tag("img", alt='"<') == '<img alt="&quot;&lt;">'
    shown = [number(x) for x in (1234, 1234.5, 0.25, 0.0, 1e-5, float("nan"))]
    assert shown == ["1,234", "1,234.5000", "0.2500", "0.0000", "1e-05", "nan"]


@pytest.mark.parametrize(
    ("config", "sheet", "said"),
    [
        ({}, "", "The same noise at every step."),
        ({"condition.kind": "label"}, "", "A row for each label"),
        ({"condition.kind": "known_part"}, "", "eight fillings"),
        ({"latent.codes": "gaussian:2+categorical:3"}, "", "from -2 to 2"),
        ({"latent.codes": "gaussian:2+categorical:3"}, "code_1", "from -2 to 2"),
        ({"latent.codes": "gaussian:2+categorical:3"}, "code_2", "each value of the code"),
        ({"points": True}, "", "a square from -3 to 3"),
        ({}, "tags", ""),
        # A blank, as the config allows it; a code that is none.
        ({"latent.codes": "gaussian:2 + categorical:3"}, "code_2", "each value of the code"),
        ({"latent.codes": "gaussian:2"}, "code_2", ""),
        ({"latent.codes": "gaussian:2"}, "code_x", ""),
    ],
)
def test_what_a_sheet_shows_is_said(run, config, sheet, said):
    one = runs.read(str(run))
    shape = [1, 1, 2] if config.pop("points", False) else [8, 8, 1]
    about = {"config": {"latent.codes": ""} | config, "dataset": {"image_shape": shape}}
    shown = page.shows(one._replace(about=about), sheet)
    assert said in shown
    assert bool(said) == bool(shown)


def test_several_runs_side_by_side(tmp_path, capsys):
    """Curves in one plot, measures in columns, one slider for all; what cannot be compared stands
    in rows of its own."""
    one, two = write_run(tmp_path / "one", seeds=(0,)), write_run(tmp_path / "two", loss="hinge")
    rows = [measure(0, 0.125, n_real=8)]
    (two / "results.json").write_text(json.dumps({"measures": rows}))
    out = tmp_path / "both.html"
    assert report(f"--workdir={one}", f"--workdir={two}", f"--out={out}") == 0
    shown = out.read_text()
    assert not (one / "report.html").exists()
    assert shown.count('id="step"') == 1
    differing = shown.partition("Keys in which the runs differ")[2].partition("</table>")[0]
    assert re.findall(r'row"><code>(.*?)</code>', differing) == ["loss", "seeds"]
    legends = re.findall(r'<ul class="legend".*?</ul>', shown)
    assert "one" in legends[0]
    assert "two" in legends[0]
    table = re.search(r'<table class="measures.*?</table>', shown)[0]
    assert re.findall(r"(?:one|two)<br>(\w+)", table) == ["last", "best", "last"]
    figures = [
        re.findall(r"<td[^>]*><span>(.*?)</span></td>", row)[:3] for row in table.split("<tr>")[2:]
    ]
    assert figures == [["0.7500", "0.5000", "-"], ["-", "-", "0.1250"]]
    # Twice the same folder, and two of one name, are told apart.
    again = tmp_path / "there" / "one"
    shutil.copytree(one, again)
    assert report(f"--workdir={one}", f"--workdir={again}", f"--workdir={one}", f"--out={out}") == 0
    title = re.search("<h1>(.*?)</h1>", out.read_text())[1]
    assert title == f"{one}, {again}, {one} (3)"


def test_the_same_networks_are_one_column(run):
    rows = [measure(0, 0.5, checkpoint) for checkpoint in ("last", "best")]
    (run / "results.json").write_text(json.dumps({"measures": rows}))
    shown = tables.measures([runs.read(str(run))])
    assert "last and best<small> step 30" in shown
    assert shown.count("0.5000") == 2  # The figure, and what stands beside it.


def go_on(run, step):
    """As the run looks when it has trained on to this step; its config.json stays."""
    with open(run / "metrics.jsonl", "a") as file:
        for seed in (0, 1):
            file.write(json.dumps({"step": step, "seed": seed, "loss/generator": 1.0}) + "\n")
            picture = run / f"samples/step_{step:06}_seed_{seed}.png"
            save_png(str(picture), np.zeros((30, 30, 1), np.uint8))


def test_a_run_that_went_on_shows_all_of_it(run):
    """While it trains its measures are of an earlier step; at its end they are of the last."""
    go_on(run, 50)
    about = page.page([runs.read(str(run))])
    assert "50 updates, not finished, measured at step 30<" in about
    assert 'data-step="50"' in about
    results = json.loads((run / "results.json").read_text()) | {"step": 60}
    go_on(run, 60)
    shown = page.page([runs.read(str(run), results)])
    assert "60 updates<" in shown
    assert "60 of the generator" in shown
    assert 'data-step="60"' in shown


def test_a_run_that_ended_early_shows_no_sheets_of_an_earlier_start(run):
    """Started for 30 steps, killed, and gone on with to step 20 only."""
    rows = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(rows[:-2]))
    shown = page.page([runs.read(str(run), {"step": 20, "measures": []})])
    assert "20 updates<" in shown
    assert "20 of the generator" in shown
    assert 'data-step="30"' not in shown


def test_what_cannot_be_read_is_passed_over(run):
    with open(run / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 3\n\xff\n7\n{"seed": 0}\n{"step": "x", "seed": 0}\n')
        file.write(b'{"step": 30, "seed": 0, "time/images_per_s": "x"}\n')
    (run / "confusion.txt").write_bytes(b"a  b\n\xff  9\n")
    (run / "confusion_seed_1.txt").mkdir()
    (run / "networks.txt").unlink()
    (run / "networks.txt").symlink_to(run / "nowhere")
    (run / "folder.png").mkdir()
    (run / "samples/step_000025_seed_0.png").mkdir()
    (run / "samples/step_000020_code_x.png").write_bytes(b"")
    (run / os.fsdecode(b"\xff.png")).write_bytes(b"")
    assert report(f"--workdir={run}") == 0
    shown = (run / "report.html").read_text()
    assert "loss" in shown
    assert "\N{REPLACEMENT CHARACTER}" in shown
    assert 'data-step="25"' not in shown
    assert "folder.png" in shown


def test_names_of_columns_are_escaped_once(run):
    one = runs.read(str(run))
    shown = tables.measures([one._replace(name="a&b"), one._replace(name="c")])
    assert 'data-name="a&amp;b last' in shown


def test_seeds_without_a_finite_mean_have_no_interval(run):
    rows = [measure(seed, value) for seed, value in ((0, float("nan")), (1, 0.5))]
    (run / "results.json").write_text(json.dumps({"measures": rows}))
    shown = tables.measures([runs.read(str(run))])
    assert "nan\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}nan" in shown


def test_a_run_in_training_has_a_page(run):
    """Of what there is: no measures, and sheets beyond its last step are another's."""
    (run / "results.json").unlink()
    about = json.loads((run / "config.json").read_text())
    about["config"]["steps"] = 20
    (run / "config.json").write_text(json.dumps(about))
    (run / "metrics.jsonl").write_text('{"step": 10, "seed": 0, "loss/generator": 1.0}\n{"step": 2')
    assert report(f"--workdir={run}") == 0
    shown = (run / "report.html").read_text()
    assert "not finished" in shown
    assert "Measures" not in shown
    assert 'data-step="20"' in shown
    assert 'data-step="30"' not in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--workdir is missing"),
        (["--workdir=nowhere"], "nowhere holds no run"),
        (["--workdir=begun"], "begun has nothing to show yet"),
        (["--workdir=run", "--workdir=begun"], "begun has nothing to show yet"),
        (["--workdir=torn"], "torn/config.json cannot be read"),
        (["--workdir=other"], "other/config.json is not a run's config"),
        (["--workdir=run", "--out=page.png"], "--out=page.png: a page ends in .html"),
        (["--workdir=run", "--out=no/page.html"], "no/page.html.part: No such file or directory"),
        (["--workdir"], "expected one argument"),
        (["--workdir=run", "--steps=3"], "--steps=3"),
        (["--work=run"], "--work=run"),
    ],
)
def test_a_mistake_is_a_line_or_two(run, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(run.parent)
    for name, content in (
        ("begun", '{"config": {}}'),
        ("torn", '{"config": '),
        ("other", "{}"),
    ):
        os.mkdir(name)
        with open(f"{name}/config.json", "w") as file:
            file.write(content)
    assert report(*arguments) == 2
    told = capsys.readouterr()
    assert said in told.err
    assert len(told.err.splitlines()) <= 2
    assert not told.out
    assert not (run / "report.html").exists()


def test_a_full_disk_is_a_line_and_leaves_the_page(run, monkeypatch, capsys):
    (run / "report.html").write_text("before")

    def full(path, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(page, "write_text", full)
    assert report(f"--workdir={run}") == 1
    assert capsys.readouterr().err == ("jaxgan: No space left on device; the page is as it was\n")
    assert (run / "report.html").read_text() == "before"


# --- Size


def test_sheets_are_thinned_out_until_they_fit(tmp_path):
    """The first and the last stay; it says how many."""
    run = write_run(tmp_path / "run", seeds=(0,), steps=5000)
    (run / "results.json").unlink()  # It has not come to its end.
    picture = np.random.default_rng(0).integers(0, 256, (100, 100, 1), np.uint8)
    for step in range(100, 5001, 100):
        save_png(str(run / f"samples/step_{step:06}.png"), picture)
    most = 400_000
    shown = page.page([runs.read(str(run))], most)
    assert len(shown.encode()) <= most
    steps = [int(x) for x in re.findall(r'<figure data-step="(\d+)"', shown)]
    first = steps[: steps.index(5000) + 1]
    assert (first[0], first[-1]) == (0, 5000)
    assert 12 <= len(first) < 54
    assert f"{len(steps)} of 58 sheets, so that the page stays small" in shown


def test_where_few_would_fit_they_are_made_smaller_and_at_last_left_out(tmp_path):
    rng = np.random.default_rng(0)
    files = {}
    for step in range(20):
        files[step] = str(tmp_path / f"{step}.png")
        save_png(files[step], rng.integers(0, 256, (200, 200, 3), np.uint8))
    sheets = [Sheets("", seed, files) for seed in (0, 1)]

    def fitted(room):
        found = pictures.fit(sheets, room)
        sizes = [one.size() for _, shown in found.shown for one in shown.values()]
        assert sum(sizes) <= room
        return [len(shown) for _, shown in found.shown], found.said

    whole = 2 * 20 * (os.path.getsize(files[0]) * 4 // 3 + 500)
    assert fitted(whole) == ([20, 20], "")
    counts, said = fitted(whole // 4)
    assert counts[0] >= pictures.ENOUGH
    assert "as JPEG" in said
    counts, said = fitted(whole // 20)
    assert "1/2 as wide" in said or "1/4 as wide" in said
    counts, said = fitted(whole // 2000)
    assert counts == [1] * len(counts)
    assert len(counts) < 2
    assert pictures.fit([], 1000).shown == []
    # A page whose curves and tables alone are too much.
    assert pictures.fit(sheets, -1).shown == []
    # The last one may take less than the others.
    save_png(files[19], np.zeros((200, 200, 3), np.uint8))
    counts, said = fitted(whole // 4)
    assert len(counts) == 2
    assert counts[0] < 20


def test_single_pictures_that_are_too_large_or_none_are_named(tmp_path):
    rng = np.random.default_rng(0)
    save_png(str(tmp_path / "large.png"), rng.integers(0, 256, (100, 100, 3), np.uint8))
    shutil.copy(tmp_path / "large.png", tmp_path / "walk.gif")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n")
    save_png(str(tmp_path / "small.png"), np.zeros((4, 4, 1), np.uint8))
    whole = (tmp_path / "small.png").read_bytes()
    # The first chunk's checksum, which Pillow answers with a SyntaxError.
    (tmp_path / "flipped.png").write_bytes(whole[:30] + bytes([whole[30] ^ 1]) + whole[31:])
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    bad = ["torn.png", "flipped.png", "folder.png", "dangling.png"]
    paths = [str(tmp_path / name) for name in ("large.png", "walk.gif", *bad, "small.png")]
    shown, left_out = pictures.fit_others(paths, 100_000, 20_000)
    assert [os.path.basename(path) for path in left_out] == ["walk.gif", *bad]
    assert [one.uri[:15] for one in shown.values()] == ["data:image/jpeg", "data:image/png;"]
    # At its size in the file, whatever it was made smaller by.
    assert next(iter(shown.values()))[1:] == (100, 100)


# --- Curves and networks


def test_ticks_are_round():
    assert curves.ticks(0.02, 1.03, 5) == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert curves.ticks(-1.1, 0.1, 4) == pytest.approx([-1, -0.5, 0])
    assert curves.ticks(10, 5000, 4) == [1000, 2000, 3000, 4000, 5000]


def test_a_plot_has_pale_seeds_and_a_strong_mean():
    line = curves.Line("generator", 1, [[(0, 1.0), (10, 3.0)], [(0, 2.0), (10, 5.0)]])
    shown = curves.plot("losses", [line])
    assert shown.count('class="pale c1"') == 2
    assert len(re.findall('<polyline[^>]*class="strong c1"', shown)) == 1
    assert 'data-steps="0 10"' in shown
    values = "1.5000 (1.0000 to 2.0000)|4.0000 (3.0000 to 5.0000)"
    assert f'data-values="{values}"' in shown
    # From 1 to 5 with a twentieth of it above and below.
    strong = re.search('points="([^"]*)" class="strong', shown)[1]
    assert strong == f"0.0,{240 * 3.7 / 4.4:.1f} 1000.0,{240 * 1.2 / 4.4:.1f}"


def test_long_runs_are_thinned_and_what_is_not_finite_is_left_out():
    rows = [
        {"step": step, "seed": seed, "loss/generator": float("nan") if step == 7 else 1.0}
        for step in range(1, 301)
        for seed in range(200)
    ]
    first, other = curves.of_one(rows, {"loss": "hinge"})
    assert other == ""
    assert len(first) < 120_000
    assert "nan" not in first
    assert curves.of_one([{"step": 1, "seed": 0, "loss/generator": float("inf")}], {}) == ("", "")


def test_a_flat_curve_of_one_step_is_a_dot_in_the_middle():
    shown = curves.plot("flat", [curves.Line("flat", 0, [[(3, 0.0)]])])
    middle = f"{curves.WIDTH / 2:.1f},120.0"
    assert f'points="{middle} {middle}"' in shown
    assert "strong dot" in shown
    assert re.findall(r"<text[^>]*>([^<]*)</text>", shown)[-2:] == ["3", "step"]


def test_networks_are_read_as_they_were_written():
    found = diagram.read(NETWORKS)
    assert list(found) == ["generator", "discriminator", "q"]
    assert found["discriminator"][1] == diagram.Layer("conv_1_norm", "4 x 4 x 8", 16, 16)
    boxes = diagram.boxes(found["discriminator"])
    assert [box.name for box in boxes] == ["conv_1", "logit"]
    assert boxes[0].lines == ("4 x 4 x 8", "1,200 parameters", "norm, 16", "dropout")
    assert boxes[0].share == pytest.approx(1216 / 1345)


def test_no_arrow_leads_into_a_branch():
    def arrows(middle):
        layers = [Layer(name, (8,), 9, 0) for name in ("noise", middle, "joint")]
        return diagram.diagram(describe("generator", layers), {"config": {}}).count("<path")

    # A line and its head for each.
    assert arrows("dense") == 2 * 3
    assert arrows("condition") == 2 * 2


def test_a_layer_of_a_long_name_is_read_too():
    long = Layer("block_of_many_parts/attention/output", (4, 4, 8), 1200, 0)
    (layer,) = diagram.read(describe("generator", [long]))["generator"]
    assert layer == diagram.Layer(long.name, "4 x 4 x 8", 1200, 0)
    assert long.name in diagram.diagram(describe("generator", [long]), {"config": {}})


def test_a_table_of_labels_that_cannot_be_read_is_shown_as_it_is():
    shown = tables.confusion("a  b\n<c>  d  e\n")
    assert shown.endswith("</p><pre>a  b\n&lt;c&gt;  d  e\n</pre>")
    assert "not recorded" in shown


def test_a_table_of_labels_that_is_older_than_the_measures_says_so():
    told = tables.networks_in_words("last", 20) + "\na  b\n1  2\n"
    for step, older in ((20, False), (30, True)):
        shown = tables.confusion(told, [measure(0, 0.5, step=step)])
        assert ("Of the last networks, step 20, older than the measures." in shown) == older
        assert "last networks, step" not in shown.partition("</p>")[2]


# --- In a browser


@pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome")
def test_in_a_browser_the_scripts_run_and_no_request_leaves_the_page(run, tmp_path):
    """Into the page are put a user, a request that its policy is told to allow, which shows that
    the log would tell of one, and some that the policy forbids."""
    report(f"--workdir={run}")
    shown = (run / "report.html").read_text()
    planted = (
        '<img src="http://allowed.invalid/x.png"><img src="http://image.invalid/x.png">'
        '<script src="http://script.invalid/x.js"></script><script>document.title="!"</script>'
        '<link rel="stylesheet" href="http://style.invalid/x.css"><p style="color:red">'
        '<iframe src="http://frame.invalid/"></iframe>'
    )
    user = (
        'const slider = document.getElementById("step"), plot = document.querySelector(".plot");'
        'slider.value = 1; slider.dispatchEvent(new Event("input"));'
        'plot.dispatchEvent(new KeyboardEvent("keydown", {key: "ArrowLeft"}));'
        'document.getElementById("theme").click();'
    )
    for before, after in (
        ("img-src data:;", "img-src data: http://allowed.invalid;"),
        ("script-src ", f"script-src '{page.digest(user)}' "),
        ("</body>", f"{planted}<script>{user}</script></body>"),
    ):
        assert shown.count(before) == 1
        shown = shown.replace(before, after)
    (tmp_path / "page.html").write_text(shown)
    log = tmp_path / "requests.json"
    done = subprocess.run(
        [
            BROWSER,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--host-resolver-rules=MAP * ~NOTFOUND",  # Nor does the browser itself reach anything.
            f"--log-net-log={log}",
            "--dump-dom",
            f"file://{tmp_path}/page.html#dark",
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    dom = done.stdout
    html = re.search("<html[^>]*>", dom)[0]
    assert 'data-script="ready"' in html
    assert 'data-theme="light"' in html  # Dark by the address, and then the button.
    player = re.search('<div class="player"[^>]*>', dom)[0]
    assert 'data-step="10"' in player
    assert "hidden" not in player
    assert (
        re.findall(r'<figure data-step="(\d+)"(?! hidden| data-print="" hidden)', dom) == ["10"] * 4
    )
    assert 'aria-valuetext="step 10"' in dom
    assert 'losses, nats<span class="at"> at step 20</span>' in dom
    assert "<title>!" not in dom
    events = json.loads(log.read_text())
    started = events["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    asked = [event["params"] for event in events["events"] if event["type"] == started]
    # What the browser asks for on its own has no origin.
    of_page = {one["url"] for one in asked if "url" in one and one["initiator"] != "not an origin"}
    assert of_page == {"http://allowed.invalid/x.png"}


def test_results_that_are_about_to_be_written(run):
    (run / "results.json").unlink()
    path = page.write([str(run)], results={"measures": [measure(0, 0.0625)]})
    assert path == str(run / "report.html")
    assert "0.0625" in (run / "report.html").read_text()
    with pytest.raises(UserError, match="holds no run"):
        page.write([str(run), str(run / "samples")])
    # They are the first one's: the second has its own.
    other = write_run(run.parent / "other")
    page.write([str(run), str(other)], results={"measures": [measure(0, 0.0625)]})
    shown = (run / "report.html").read_text()
    assert shown.count("<span>0.0625</span>") == 1
    assert "0.8125" in shown


def test_what_lies_in_the_way_of_a_picture_is_said_and_no_more(run, monkeypatch):
    """At the end of training: the results come after the pictures."""
    said = []
    record = SimpleNamespace(workdir=str(run), progress=SimpleNamespace(say=said.append))
    (run / "strip_seed_0.png").mkdir()
    RunRecorder._save(record, np.zeros((4, 4, 1), np.uint8), "strip_seed_0.png")
    assert said == ["no strip_seed_0.png: Is a directory"]
    whole = (run / "strip.png").read_bytes()
    (run / "strip.png").write_bytes(whole[:30] + bytes([whole[30] ^ 1]) + whole[31:])
    assert sheet_of(str(run / "strip.png")) is None
    assert sheet_of(str(run / "strip_seed_0.png")) is None

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("jaxgan.reporting.recorder.save_png", full)
    with pytest.raises(OSError, match="No space"):
        RunRecorder._save(record, np.zeros((4, 4, 1), np.uint8), "strip.png")


def test_a_page_that_cannot_be_written_is_said_and_no_more(run, monkeypatch):
    (run / "report.html").mkdir()
    said = []
    page.renew(str(run), {"measures": []}, said.append)
    page.renew(str(run / "samples"), {"measures": []}, said.append)
    assert said[0] == "no report.html: Is a directory"
    assert "holds no run" in said[1]

    def full(path, text):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(page, "write_text", full)
    with pytest.raises(OSError, match="quota"):
        page.renew(str(run), {"measures": []}, said.append)
