"""The HTML report of a run: `python -m jaxgan.report`."""

import errno
import html.parser
import json
import os
import re
import shutil
import xml.etree.ElementTree
from types import SimpleNamespace

import browser
import numpy as np
import pytest

from jaxgan.common.errors import UserError
from jaxgan.evaluation.results import MetricResult
from jaxgan.metrics.images.conditional_accuracy import confusion_table
from jaxgan.models.summary import Layer, describe
from jaxgan.report import main
from jaxgan.reporting import figures
from jaxgan.reporting.html import curves, pictures, report, tables
from jaxgan.reporting.html.run_data import read_run
from jaxgan.reporting.images import read_png as sheet_of
from jaxgan.reporting.images import save_png
from jaxgan.reporting.recorder import RunRecorder
from jaxgan.training.run_files import CHECKPOINTS

STEPS = (0, 10, 20, 30)
NETWORKS = describe("generator", [Layer("dense", (16,), 80, 0), Layer("image", (8, 8, 1), 9, 0)])


def measure(seed, value, checkpoint="last", **more):
    row = {"name": "code_accuracy", "value": value, "unit": "share", "split": "test", "step": 30}
    row |= {"protocol": "matched", "n_real": 7, "reference": 0.5}
    return MetricResult(**row | {"seed": seed, "checkpoint": checkpoint} | more).as_json()


def write_run(folder, seeds=(0, 1), **config):
    """The files of a small run after training and evaluation."""
    (folder / "samples").mkdir(parents=True)
    of_run = {"system": "infogan", "networks": "paper", "loss": "non_saturating", "steps": 30}
    of_run |= {"latent.codes": "categorical:10+uniform:1", "batch_size": 32, "seed": 0}
    about = {"config": of_run | {"seeds": len(seeds)} | config, "versions": {"jax": "0.10.2"}}
    about |= {"device": "cpu", "devices": 1, "commit": "c0ffee", "command": "python -m jaxgan.main"}
    about["dataset"] = {"name": "digits", "train": 1205, "image_shape": [8, 8, 1], "sha256": "0"}
    about["dataset"] |= {"label_names": [], "classes": []}
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
    for step in STEPS:
        for seed in seeds:
            for sheet in ("", "_code_1"):
                of_seed = f"_seed_{seed}" if len(seeds) > 1 else ""
                save_png(str(folder / f"samples/step_{step:06}{sheet}{of_seed}.png"), noise(30, 1))
    measures = [measure(seed, 0.75 + seed / 8) for seed in seeds]
    measures += [measure(seed, 0.5, "best", step=20) for seed in seeds]
    (folder / "results.json").write_text(json.dumps({"step": 30, "measures": measures}))
    (folder / "networks.txt").write_text(NETWORKS + "\n")
    labels = confusion_table(np.array([[9, 1], [0, 10]]), ("T - shirt", "bag"))
    (folder / "confusion.txt").write_text(f"best networks, step 20\n{labels}\n")
    for name in ("strip.png", "neighbours.png", "curves.png"):
        save_png(str(folder / name), np.zeros((4, 4, 3), np.uint8))
    return folder


def noise(side, channels=3):
    return np.random.default_rng(0).integers(0, 256, (side, side, channels), np.uint8)


@pytest.fixture
def run(tmp_path):
    return write_run(tmp_path / "run")


def run_report(*arguments):
    """Runs the command; its exit status."""
    return main([str(argument) for argument in arguments])


def render(run, **changes):
    return report.render([read_run(str(run))._replace(**changes)])


class Page(html.parser.HTMLParser):
    """Collects ids and references, and fails where elements do not nest."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.references, self.open = [], [], []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        if tag not in ("meta", "input", "img", "br"):
            self.open.append(tag)
        self.note(tag, attrs)

    def handle_startendtag(self, tag, attrs):
        self.note(tag, attrs)

    def note(self, tag, attrs):
        given = dict(attrs)
        assert len(given) == len(attrs)
        assert "style" not in given  # The policy forbids it.
        assert tag != "img" or given["alt"]
        self.ids += [given["id"]] if "id" in given else []
        links = [given.get(x) for x in ("href", "for", "aria-labelledby")]
        links += re.findall(r"url\((.*?)\)", given.get("clip-path", ""))
        self.references += [link.removeprefix("#") for link in links if link]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


# --- The page


def test_report_of_a_run_has_all_its_parts(run, capsys):
    assert run_report(f"--workdir={run}") == 0
    assert str(run / "report.html") in capsys.readouterr().out
    shown = (run / "report.html").read_text()
    sections = (
        "At a glance|Sheets over time|Pictures|Measures|Confusion|Curves|What was run|Networks"
    )
    assert "|".join(re.findall(r"<h2[^>]*>(.*?)</h2>", shown)) == sections
    facts = ("python -m jaxgan.main", "30 of the generator, batch size 32", "64 for each seed")
    facts += ("15 s, computed from images/s",)  # 30 updates of 32 images at 64 a second.
    facts += ("c0ffee", "0.10.2", "T - shirt", "8 x 8 x 1", "neighbours.png")
    facts += ("<small>matched</small>", '<th scope="col">reference</th>')
    facts += ("last<small>step 30</small>", "best<small>step 20</small>")
    facts += ("0.8125 ± 0.7941<small>0.7500 to 0.8750, 2 seeds</small>",)  # 12.706 times .0625.
    facts += ("Of the best networks, step 20.", '<td class="s9">9</td><td class="s1">1</td>')
    assert [fact for fact in facts if fact not in shown] == []
    assert "curves.png" not in shown  # The report draws them.
    page = Page(shown)
    assert len(page.ids) == len(set(page.ids))
    assert set(page.references) <= set(page.ids)
    assert render(run) == shown
    sources = re.findall(r'src="(.*?)[;"]', shown)
    assert sources == ["data:image/png"] * (len(STEPS) * 4 + 2)


def alike(run):
    """Has a run's last images measured as nearly equal."""
    rows = [measure(0, 0.01, name="pairwise_distance", reference=0.3)]
    (run / "results.json").write_text(json.dumps({"step": 30, "measures": rows}))
    return run


def test_advice_stands_first_and_says_of_which_run(tmp_path):
    """It answers what went wrong and what to do next, of several faults in one order."""
    well = write_run(tmp_path / "well", seeds=(0,))
    collapsed = alike(write_run(tmp_path / "collapsed", seeds=(0,)))
    said = "the generated images are alike"
    shown = render(collapsed)
    Page(shown)
    first = shown.partition("</section>")[0]
    assert "<li>" not in render(well).partition("</section>")[0]
    assert 'id="overview-heading">At a glance<' in first
    wrong, _, remedy = first.partition("What next?")
    assert f"<li>{said}" in wrong
    assert "<li>Try penalty.kind=r1" in remedy
    results = json.loads((well / "results.json").read_text())
    results["ended"] = {"1": "seed 1: not finite at step 7"}
    (well / "results.json").write_text(json.dumps(results))
    assert "<li>stopped: seed 1: not finite at step 7</li>" in render(well)
    both = report.render([read_run(str(x)) for x in (well, collapsed)])
    assert re.findall("<li>(.*?): the generated", both) == ["collapsed"]
    assert re.findall("<li>(.*?): Try", both) == ["collapsed"]


def test_main_measures_come_first_with_their_better_direction(run):
    rows = [measure(0, 0.5), measure(0, 0.25, name="nmi")]
    rows += [measure(0, x, name=x_name) for x_name, x in (("frechet_distance", 2.0), ("new", 3.0))]
    rows += [
        measure(0, 0.5, name="two_sample_accuracy"),
        measure(0, 1.0, name="svm_accuracy_pixels"),
    ]
    (run / "results.json").write_text(json.dumps({"step": 30, "measures": rows}))
    read = [read_run(str(run))]
    names = [row[0].partition("\n")[0] for row in tables.measures(read).rows]
    assert names == [
        "code_accuracy ↑",
        "nmi ↑",
        "frechet_distance ↓",
        "new",
        "two_sample_accuracy → 0.5",
        "svm_accuracy_pixels ↑",
    ]
    main = tables.main_measures(read)
    assert main.head == ["measure", "last\nstep 30", "reference"]
    assert main.rows == [
        ["code_accuracy ↑", "0.5000", "0.5000"],
        ["frechet_distance ↓", "2.0000", "0.5000"],
    ]
    (run / "results.json").unlink()
    assert tables.main_measures([read_run(str(run))]) is None
    assert "Nothing has been measured yet." in render(run)


def test_a_run_in_training_has_advice(run):
    (run / "results.json").unlink()
    rows = [
        {"step": step, "seed": 1, "accuracy/real": 1.0, "accuracy/fake": 1.0}
        for step in range(1, 31)
    ]
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert "<li>seed 1: the discriminator has won" in render(run)


def test_without_a_script_the_last_sheet_is_seen(run):
    frames = re.findall(r"<figure( data-step[^>]*)>", render(run))
    assert len(frames) == 4 * len(STEPS)
    assert [x for x in frames if "hidden" not in x] == [' data-step="30"'] * 4


def test_what_a_run_says_is_escaped(tmp_path):
    bad = "<script>alert(1)</script>\"'&"
    run = write_run(tmp_path / "<b>run", system=bad, **{"latent.codes": bad, "own.key": bad})
    rows = [measure(0, 1.0, name=bad, protocol=bad, unit=bad, split=bad)]
    (run / "results.json").write_text(json.dumps({"measures": rows, "ended": {"0": bad}}))
    (run / "networks.txt").write_text("<b>net\n")
    (run / "confusion.txt").write_text(bad)
    with open(run / "metrics.jsonl", "a") as file:
        file.write(json.dumps({"step": 30, "seed": 0, "loss/<b>$x$": 1.0}) + "\n")
        file.write(json.dumps({"step": 1, "seed": 0, "rolled_back": bad}) + "\n")
    assert run_report(f"--workdir={run}") == 0
    shown = (run / "report.html").read_text()
    assert "<script>alert" not in shown
    assert shown.count("<script>") == 1
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    for raw in ("<b>run", "<b>net", "<b>$x"):
        assert raw not in shown


@pytest.mark.parametrize(
    ("config", "sheet", "said"),
    [
        ({}, "", "The same noise at every step."),
        ({"condition.kind": "label"}, "", "each label"),
        ({"condition.kind": "known_part"}, "", "eight completions"),
        ({"latent.codes": "gaussian:2+categorical:3"}, "code_1", "from -2 to 2"),
        ({"points": True}, "", "square from -3 to 3"),
        ({}, "tags", ""),
        # The config allows a blank; no such code.
        ({"latent.codes": "gaussian:2 + categorical:3"}, "code_2", "each value of the code"),
        ({"latent.codes": "gaussian:2"}, "code_2", ""),
    ],
)
def test_caption_of_a_sheet(run, config, sheet, said):
    one = read_run(str(run))
    shape = [1, 1, 2] if config.pop("points", False) else [8, 8, 1]
    about = {"config": {"latent.codes": ""} | config, "dataset": {"image_shape": shape}}
    shown = pictures.sheet_caption(one._replace(about=about), sheet)
    assert said in shown
    assert bool(said) == bool(shown)


def test_several_runs_side_by_side(tmp_path):
    """One plot for each metric, measures in columns, one slider; values that cannot be compared
    stand in rows of their own."""
    one, two = write_run(tmp_path / "one", seeds=(0,)), write_run(tmp_path / "two", loss="hinge")
    rows = [measure(0, 0.125, n_real=8)]
    (two / "results.json").write_text(json.dumps({"step": 30, "measures": rows}))
    out = tmp_path / "both.html"
    assert run_report(f"--workdir={one}", f"--workdir={two}", f"--out={out}") == 0
    shown = out.read_text()
    Page(shown)
    assert shown.count('id="step"') == 1
    # The first run keeps its own page.
    assert run_report(f"--workdir={one}", f"--workdir={two}") == 0
    assert (one / "compare.html").exists()
    assert not (one / "report.html").exists()
    runs = [read_run(str(one)), read_run(str(two))]
    keys = tables.run_tables(runs)[1]
    assert keys.title == "Keys in which the runs differ"
    assert [row[0] for row in keys.rows] == ["loss", "seeds"]
    plot = curves.plots(runs)[0]
    assert plot.title == "loss/discriminator"
    assert [entry.label for entry in plot.legend] == ["one", "two"]
    table = tables.measures(runs)
    heads = [cell.split("\n")[0] for cell in table.head[1:4]]
    assert heads == ["one: last", "one: best", "two: last"]
    assert [row[1:4] for row in table.rows] == [["0.7500", "0.5000", "-"], ["-", "-", "0.1250"]]


def test_runs_of_one_name_are_told_apart(run, tmp_path):
    other, out = tmp_path / "there" / "run", tmp_path / "out.html"
    shutil.copytree(run, other)
    folders = [f"--workdir={folder}" for folder in (run, other, run)]
    assert run_report(*folders, f"--out={out}") == 0
    assert re.search("<h1>(.*?)</h1>", out.read_text())[1] == f"1: {run}, 2: {other}, 3: {run}"


def test_same_networks_are_one_column(run):
    rows = [measure(0, 0.5, checkpoint, reference=0.25) for checkpoint in ("last", "best")]
    (run / "results.json").write_text(json.dumps({"step": 30, "measures": rows}))
    table = tables.measures([read_run(str(run))])
    assert table.head[:3] == ["measure", "last and best\nstep 30", "reference"]
    assert [row[1:3] for row in table.rows] == [["0.5000", "0.2500"]]


def test_networks_without_their_averages_have_a_column(run):
    rows = [measure(0, 0.5, "last"), measure(0, 0.5, "best"), measure(0, 0.25, "raw")]
    (run / "results.json").write_text(json.dumps({"step": 30, "measures": rows}))
    table = tables.measures([read_run(str(run))])
    assert table.head[:3] == ["measure", "raw\nstep 30", "last and best\nstep 30"]
    assert [row[1:3] for row in table.rows] == [["0.2500", "0.5000"]]


def test_seeds_without_a_finite_mean_have_no_interval(run):
    rows = [measure(seed, value) for seed, value in ((0, float("nan")), (1, 0.5))]
    (run / "results.json").write_text(json.dumps({"step": 30, "measures": rows}))
    assert tables.measures([read_run(str(run))]).rows[0][1].startswith("nan ± nan")


# --- Unfinished, continued and damaged runs


def extend_run(run, step):
    """Adds rows and sheets of a later step; config.json stays."""
    with open(run / "metrics.jsonl", "a") as file:
        for seed in (0, 1):
            file.write(json.dumps({"step": step, "seed": seed, "loss/generator": 1.0}) + "\n")
            picture = run / f"samples/step_{step:06}_seed_{seed}.png"
            save_png(str(picture), np.zeros((30, 30, 1), np.uint8))


def test_continued_run_is_shown_to_its_end(run):
    """While it trains its measures are of an earlier step."""
    extend_run(run, 50)
    shown = render(run)
    assert "50 updates, not finished, measured at step 30<" in shown
    assert 'data-step="50"' in shown
    extend_run(run, 60)
    results = json.loads((run / "results.json").read_text()) | {"step": 60}
    (run / "results.json").write_text(json.dumps(results))
    shown = render(run)
    assert "60 updates<" in shown
    assert 'data-step="60"' in shown


def test_run_that_ended_early_shows_no_sheets_of_an_earlier_start(run):
    """Started for 30 steps, killed, and continued to step 20 only."""
    rows = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(rows[:-2]))
    (run / "results.json").write_text(json.dumps({"step": 20, "measures": []}))
    shown = render(run)
    assert "20 updates<" in shown
    assert 'data-step="30"' not in shown


def test_run_in_training_has_a_report(run):
    """There are no measures; sheets beyond its last step are of another start."""
    (run / "results.json").unlink()
    about = json.loads((run / "config.json").read_text())
    about["config"]["steps"] = 20
    (run / "config.json").write_text(json.dumps(about))
    (run / "metrics.jsonl").write_text('{"step": 10, "seed": 0, "loss/generator": 1.0}\n{"step": 2')
    shown = render(run)
    assert "not finished" in shown
    assert "Measures" not in shown
    assert "Notices" not in shown  # The torn line is being written.
    assert 'data-step="20"' in shown
    assert 'data-step="30"' not in shown


def test_files_that_cannot_be_read_are_named(run):
    with open(run / "metrics.jsonl", "ab") as file:
        file.write(b'{"step": 3\n\xff\n7\n{"seed": 0}\n{"step": "x", "seed": 0}\n')
        file.write(b'{"step": 30, "seed": 0, "time/images_per_s": "x"}\n')
    (run / "results.json").write_text('{"measures": [')
    (run / "confusion.txt").write_bytes(b"a  b\n\xff  9\n")
    (run / "confusion_seed_1.txt").mkdir()
    (run / "networks.txt").unlink()
    (run / "networks.txt").symlink_to(run / "nowhere")
    (run / "folder.png").mkdir()
    (run / "samples/step_000025_seed_0.png").mkdir()
    (run / "samples/step_000020_code_x.png").write_bytes(b"")
    (run / os.fsdecode(b"\xff.png")).write_bytes(b"")
    assert run_report(f"--workdir={run}") == 0
    shown = (run / "report.html").read_text()
    notices = re.findall("<li>(.*)</li>", shown.partition("</section>")[0])
    named = "metrics.jsonl results.json confusion_seed_1.txt networks.txt folder.png ?.png"
    assert " ".join(re.split("[ :]", notice)[0] for notice in notices) == named
    assert "left out: 6" in notices[0]
    assert "\N{REPLACEMENT CHARACTER}" in shown
    assert 'data-step="25"' not in shown


def test_unreadable_confusion_matrix_is_shown_as_text():
    found = tables.confusion("seed 1", "a  b\n<c>  d  e\n")
    assert found == ("seed 1. The step is not recorded.", "a  b\n<c>  d  e\n")


@pytest.mark.parametrize("checkpoint", CHECKPOINTS)
@pytest.mark.parametrize(("step", "older"), [(20, False), (30, True)])
def test_confusion_matrix_older_than_the_measures_says_so(step, older, checkpoint):
    text = tables.networks_in_words(checkpoint, 20) + "\na  b\n1  2\n"
    note, _ = tables.confusion("", text, [measure(0, 0.5, step=step, checkpoint=checkpoint)])
    assert (
        note == f"Of the {checkpoint} networks, step 20" + ", older than the measures" * older + "."
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--workdir is missing"),
        (["--workdir=nowhere"], "nowhere holds no run"),
        (["--workdir=begun"], "begun has nothing to show yet"),
        (["--workdir=run", "--workdir=begun"], "begun has nothing to show yet"),
        (["--workdir=torn"], "torn/config.json is damaged, or not a run's: "),
        (["--workdir=other"], "other/config.json is damaged, or not a run's: "),
        (["--workdir=run", "--out=page.png"], "--out=page.png: a report ends in .html"),
        (["--workdir=run", "--out=no/other.html"], "no/other.html: No such file or directory"),
        (["--workdir"], "expected one argument"),
        (["--workdir=run", "--steps=3"], "--steps=3"),
        (["--work=run"], "--work=run"),
    ],
)
def test_mistake_is_a_line_or_two(run, monkeypatch, capsys, arguments, said):
    monkeypatch.chdir(run.parent)
    begun = json.loads((run / "config.json").read_text()) | {"config": {}}
    for name, content in (("begun", json.dumps(begun)), ("torn", '{"config": '), ("other", "{}")):
        (run.parent / name).mkdir()
        (run.parent / name / "config.json").write_text(content)
    assert run_report(*arguments) == 2
    output = capsys.readouterr()
    assert said in output.err
    assert len(output.err.splitlines()) <= 2
    assert not output.out
    assert not (run / "report.html").exists()


def test_a_report_replaces_a_report_and_no_other_file(run, capsys):
    page = run.parent / "page.html"
    for _ in range(2):
        assert run_report(f"--workdir={run}", f"--out={page}") == 0
    page.write_text("<html>mine</html>")
    assert run_report(f"--workdir={run}", f"--out={page}") == 2
    assert f"--out={page}: exists, and is no report" in capsys.readouterr().err
    assert page.read_text() == "<html>mine</html>"


def test_full_disk_is_a_line_and_leaves_the_report(run, monkeypatch, capsys):
    (run / "report.html").write_text("before")

    def full(path, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(report, "write_text", full)
    assert run_report(f"--workdir={run}") == 1
    assert capsys.readouterr().err == ("jaxgan: No space left on device; the report is as it was\n")
    assert (run / "report.html").read_text() == "before"


# --- Pictures


def test_sheet_shows_at_most_twelve_steps(tmp_path):
    run = write_run(tmp_path / "run", seeds=(0,), steps=5000)
    (run / "results.json").unlink()  # It has not finished.
    for step in range(100, 5001, 100):
        save_png(str(run / f"samples/step_{step:06}.png"), noise(100))
    limit = 400_000
    shown = report.render([read_run(str(run))], limit)
    assert len(shown.encode()) <= limit
    steps = [int(x) for x in re.findall(r'<figure data-step="(\d+)"', shown)]
    first = steps[: steps.index(5000) + 1]
    assert (first[0], first[-1], len(first)) == (0, 5000, 12)
    assert "16 of 58 sheets" in shown


def test_sheets_shrink_until_they_fit_and_are_left_out_at_last(run):
    one = read_run(str(run))
    for sheet in one.sheets:
        for path in sheet.files.values():
            save_png(path, noise(200))

    def fit(budget):
        found = pictures.sheets_over_time([one], budget)
        if found is None:
            return [], ""
        uris = [picture.uri for sheet in found.sheets for picture in sheet.frames.values()]
        assert sum(map(len, uris)) <= budget
        return [len(sheet.frames) for sheet in found.sheets], found.note

    whole = pictures.sheets_over_time([one], 10**9)
    size = sum(len(x.uri) for sheet in whole.sheets for x in sheet.frames.values())
    assert "image/jpeg" in whole.sheets[0].frames[0].uri  # The files are large.
    assert whole.sheets[0].frames[0][1:] == (200, 200)
    assert fit(2 * size) == ([4] * 4, "")
    counts, note = fit(size // 2)
    assert counts == [4] * 4
    assert "at 1/2 of their size" in note
    counts, _ = fit(size // 70)
    assert counts == [1] * len(counts)
    assert len(counts) < 4
    assert fit(-1) == ([], "")


def test_single_pictures_that_are_too_large_or_damaged_are_named(tmp_path, run):
    save_png(str(tmp_path / "large.png"), noise(100))
    shutil.copy(tmp_path / "large.png", tmp_path / "walk.gif")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n")
    save_png(str(tmp_path / "small.png"), np.zeros((4, 4, 1), np.uint8))
    whole = (tmp_path / "small.png").read_bytes()
    # The first chunk's checksum, for which Pillow raises a SyntaxError.
    (tmp_path / "flipped.png").write_bytes(whole[:30] + bytes([whole[30] ^ 1]) + whole[31:])
    (tmp_path / "dangling.png").symlink_to(tmp_path / "nowhere")
    bad = ["torn.png", "flipped.png", "dangling.png"]
    paths = [str(tmp_path / name) for name in ("large.png", *bad, "small.png")]
    one, notices = read_run(str(run))._replace(pictures=paths), []
    shown = pictures.single_pictures([one], 20_000, notices)
    assert [name for name, _, _ in shown] == ["large.png", "small.png"]
    assert [notice.split()[0] for notice in notices] == bad
    assert [picture.uri[:15] for _, _, picture in shown] == ["data:image/jpeg", "data:image/png;"]
    assert shown[0][2][1:] == (100, 100)  # The size in the file.


# --- Curves


def test_mean_curve_has_the_range_of_the_seeds():
    rows = [{"step": s, "seed": i, "x": s + i} for s in (0, 10) for i in (0, 2)]
    means = figures.mean_curve(figures.read_curve(rows, "x", "x"))
    np.testing.assert_allclose(means, [(0, 1, 0, 2), (10, 11, 10, 12)])


def test_metrics_that_share_axes():
    names = ["loss/generator", "loss/information", "loss/code_0", "eval/nmi", "logit/real"]
    names += ["loss/penalty", "loss/discriminator"]
    rows = [{"step": 1, "seed": 0} | dict.fromkeys(names, 1.0), {"loss/bad": float("inf")}]
    assert figures.group_curves(rows, "hinge") == [
        ("losses", ["loss/discriminator", "loss/generator"], True),
        ("information term", ["loss/information"], True),
        ("nmi", ["eval/nmi"], True),
        ("other logit", ["logit/real"], False),
        ("other loss", ["loss/penalty"], False),
    ]
    assert figures.group_curves(rows, "minimax")[0].title == "losses, nats"


def test_plot_is_xml_in_the_colours_of_the_page():
    lines = [figures.Curve("one", [[(1, 0.0005), (2, 0.0007)]]), figures.Curve("two", [[(1, 0.0)]])]
    shown = curves.svg(lines, "a-", '"losses"')
    parsed = xml.etree.ElementTree.fromstring(shown)
    assert "losses" in parsed.attrib["aria-label"]
    assert {"step", "0.0002"} <= set(parsed.itertext())
    assert "#" not in re.sub(r"&#\d+;|url\(#|href=\"#", "", shown)
    for colour in ("var(--curve-0)", "var(--curve-1)", "var(--rule)"):
        assert colour in shown


def test_long_runs_are_thinned_and_values_that_are_not_finite_left_out():
    rows = [
        {"step": step, "seed": seed, "loss/generator": float("nan") if step == 7 else 1.0}
        for step in range(1, 301)
        for seed in range(200)
    ]
    shown = curves.svg([figures.read_curve(rows, "loss/generator", "")], "", "")
    assert len(shown) < 200_000
    assert "nan" not in shown.lower()


# --- In a browser


@browser.needed
def test_in_a_browser_the_slider_works_and_no_request_leaves_the_page(run, tmp_path):
    """Planted are an input event, a request that the altered policy allows (the log must have it),
    and requests that the policy forbids."""
    shown = render(run)
    planted = (
        '<img src="http://allowed.invalid/x.png"><img src="http://image.invalid/x.png">'
        '<script src="http://script.invalid/x.js"></script><script>document.title="!"</script>'
        '<link rel="stylesheet" href="http://style.invalid/x.css"><p style="color:red">'
        '<iframe src="http://frame.invalid/"></iframe>'
    )
    user = (
        'document.getElementById("step").value = 1;'
        'document.getElementById("step").dispatchEvent(new Event("input"));'
    )
    for before, after in (
        ("img-src data:;", "img-src data: http://allowed.invalid;"),
        ("script-src ", f"script-src '{report.content_hash(user)}' "),
        ("</body>", f"{planted}<script>{user}</script></body>"),
    ):
        assert shown.count(before) == 1
        shown = shown.replace(before, after)
    dom, _, of_page = browser.browse(shown, tmp_path)
    assert re.search('<div class="slider">', dom)  # Shown by the script.
    frames = re.findall(r"<figure data-step[^>]*>", dom)
    assert [re.search(r"\d+", x)[0] for x in frames if "hidden" not in x] == ["10"] * 4
    assert 'aria-valuetext="step 10"' in dom
    assert "<title>!" not in dom
    assert of_page == {"http://allowed.invalid/x.png"}


# --- What training and evaluation call


def test_a_folder_that_holds_no_run_is_named_among_others(run):
    assert report.write_report([str(run)]) == str(run / "report.html")
    with pytest.raises(UserError, match="holds no run"):
        report.write_report([str(run), str(run / "samples")])


def test_picture_that_cannot_be_written_is_said(run, monkeypatch):
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


def test_report_that_cannot_be_written_is_said(run, monkeypatch):
    (run / "report.html").mkdir()
    said = []
    report.renew_report(str(run), said.append)
    report.renew_report(str(run / "samples"), said.append)
    assert said[0] == "no report.html: Is a directory"
    assert "holds no run" in said[1]

    def full(path, text):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")

    monkeypatch.setattr(report, "write_text", full)
    with pytest.raises(OSError, match="quota"):
        report.renew_report(str(run), said.append)
