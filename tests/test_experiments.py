"""Studies and searches, with a command that trains nothing."""

import json
import pathlib
import signal
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "experiments"))

import reproduce
import search
import study_comparison
import study_runs
import study_table

from jaxgan.config import update
from jaxgan.config.files import from_file
from jaxgan.config.validation import validate
from jaxgan.evaluation.registry import better, metric_named

STUDY = """
title = "Two nets"
[[runs]]
name = "one"
config = "configs/gan.py"
seeds = [0, 1]
keys = { steps = 5 }
[[runs]]
name = "two"
config = "configs/infogan.py"
seeds = [0]
[[rows]]
what = "distance"
run = "one"
measure = "frechet_distance"
checkpoint = "last"
paper = 4
source = "them"
differs = "all of it"
[[rows]]
what = "accuracy"
run = "two"
measure = "code_accuracy"
code = 0
checkpoint = "best"
"""


PLAYERS = ("generator", "discriminator")


class Stub:
    """In place of the commands: what was called, and what a run leaves behind."""

    def __init__(self, monkeypatch):
        self.called, self.flags, self.status, self.ended = [], [], {}, []
        monkeypatch.setattr(study_runs.Children, "call", lambda of, *given: self.call(of, *given))

    def call(self, children, module, flags, log):
        given = dict(flag.removeprefix("--").split("=", 1) for flag in flags)
        workdir = pathlib.Path(given["workdir"])
        self.called.append((module, workdir.name))
        self.flags.append(flags)
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("seed 0: not finite at step 3")
        status = self.status.get(workdir.name, 0)
        if module == "jaxgan.main" and status == 0:
            workdir.mkdir(parents=True, exist_ok=True)
            self.train(workdir, given)
        if status > 128:
            children.stop(status - 128)
        return status

    def train(self, workdir, given):
        first = int(given["config.seed"])
        seeds = range(first, first + int(given.get("config.seeds", 1)))
        self.write(workdir, given, [seed for seed in seeds if seed not in self.ended], first)

    def write(self, workdir, given, seeds, first):
        about = {"config": {"batch_size": 64}, "commit": "abc"}
        about |= {"device": "TPU v5" if first else "cpu", "versions": {"jax": "0.1"}}
        (workdir / "config.json").write_text(json.dumps(about))
        measures = [
            {**one, "seed": seed}
            for seed in seeds
            for one in (
                measure("frechet_distance", "last", 3 + 2 * seed),
                measure("frechet_distance", "best", 1.0),
                measure("code_accuracy", "best", 0.5, code=0),
            )
        ]
        if len(seeds) > 1:
            measures.append({**measure("seed_agreement", "best", 0.9), "seed": first})
        results = {"step": 5, "measures": measures, "scores": {str(seed): -seed for seed in seeds}}
        results["ended"] = {str(seed): "not finite" for seed in self.ended}
        (workdir / "results.json").write_text(json.dumps(results))
        rate = float(given.get("config.generator.learning_rate", 1))
        rows = [{"step": 1}, {"step": 2, "eval/frechet_distance": rate}]
        rows.append({"step": 3, "eval/frechet_distance": rate + 1})
        (workdir / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))


def measure(name, checkpoint, value, code=None):
    return {
        "name": name,
        "checkpoint": checkpoint,
        "value": value,
        "code": code,
        "split": "test",
        "extractor": "it",
        "extractor_hash": "a",
        "n_real": 2_000,
        "n_generated": 0,
        "reference": None if value < 4 else 1.5,
    }


@pytest.fixture
def stub(monkeypatch, tmp_path):
    monkeypatch.setattr(reproduce, "ROOT", tmp_path)
    return Stub(monkeypatch)


@pytest.fixture
def study(tmp_path):
    folder = tmp_path / "experiments" / "mine"
    folder.mkdir(parents=True)
    (folder / "study.toml").write_text(STUDY)
    return folder


def test_a_study_grows_run_by_run(stub, study, tmp_path):
    assert reproduce.main(["mine", "--only=two"]) == 0
    assert stub.called == [("jaxgan.main", "two-seed-0"), ("jaxgan.evaluate", "two-seed-0")]
    text = (study / "table.md").read_text()
    assert "| accuracy (best networks) |  | 0.500 |  | 1, 5 of 64 | test, 2,000 real, it" in text
    assert "| distance (last networks) | 4 (them) | not measured |  |  |  | all of it |" in text
    assert "--config.steps=5`; not trained yet: seeds 0, 1\n" in text
    stub.called.clear()
    # The first seed of each config comes first; what is there is not run again.
    assert reproduce.main(["mine", "--jobs=1"]) == 0
    assert [name for _, name in stub.called[::2]] == ["one-seed-0", "one-seed-1"]
    assert (study / "figure.png").stat().st_size > 1000
    text = (study / "table.md").read_text()
    read_on = "test, 2,000 real, it `a`, reference 1.500"
    # Of the two scores that of seed 0 is higher.
    assert f"4.000 | 3.000 | 2 (3.000, 5.000), 5 of 64 | {read_on} |" in text
    command = "--config=configs/gan.py --config.steps=5`; seeds 0, 1"
    assert f"{command}; 1 on an accelerator: TPU v5, jax 0.1" in text
    stub.called.clear()
    assert reproduce.main(["mine"]) == 0
    assert reproduce.main(["mine", "--table"]) == 0
    assert stub.called == []
    # Another command is another run: it goes on where it may.
    (study / "study.toml").write_text(STUDY.replace("steps = 5", "steps = 9"))
    assert reproduce.main(["mine"]) == 0
    assert {name for _, name in stub.called} == {"one-seed-0", "one-seed-1"}


def test_the_table_stands_in_the_page_of_all_studies(stub, study):
    page = study.parent / "README.md"
    page.write_text("# All\n<!-- mine begins -->\nold\n<!-- mine ends -->\nrest\n")
    assert reproduce.main(["mine"]) == 0
    _, _, body = (study / "table.md").read_text().partition("\n\n")
    assert "4.000" in body
    wanted = f"# All\n<!-- mine begins -->\n{body}<!-- mine ends -->\nrest\n"
    assert page.read_text() == wanted
    assert reproduce.main(["mine", "--table"]) == 0
    assert page.read_text() == wanted
    for unmarked in ("# All\n", "# All\n<!-- mine begins -->\nnot closed\n"):
        page.write_text(unmarked)
        assert reproduce.main(["mine", "--table"]) == 0
        assert page.read_text() == unmarked


def test_a_run_that_fails_is_left_out_and_tried_again(stub, study):
    stub.status["one-seed-0"] = 1
    assert reproduce.main(["mine"]) == 1
    assert ("jaxgan.evaluate", "one-seed-0") not in stub.called
    assert "5.000 |  | 1, 5 of 64 |" in (study / "table.md").read_text()
    stub.status.clear()
    stub.called.clear()
    assert reproduce.main(["mine"]) == 0
    assert {name for _, name in stub.called} == {"one-seed-0"}


def test_a_signal_ends_the_study(stub, study):
    stub.status["two-seed-0"] = 128 + signal.SIGTERM
    before = signal.getsignal(signal.SIGTERM)
    assert reproduce.main(["mine"]) == 128 + signal.SIGTERM
    assert [name for _, name in stub.called] == ["one-seed-0"] * 2 + ["two-seed-0"]
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('title = "Two', "title = Two", "study.toml: "),
        ("steps = 5 }", "steps = 5 }\nsteps = 3", "runs have no 'steps'"),
        ('measure = "code_accuracy"', "", "'measure' is missing in one of the rows"),
        ('run = "two"', 'run = "three"', "a run 'three' that is not there"),
        ('name = "two"', 'name = "one"', "each its own"),
    ],
)
def test_mistakes_in_a_study(stub, study, capsys, old, new, said):
    assert old in STUDY
    (study / "study.toml").write_text(STUDY.replace(old, new, 1))
    assert reproduce.main(["mine"]) == 2
    given = capsys.readouterr().err
    assert said in given
    assert len(given.splitlines()) == 1
    assert stub.called == []


def test_two_extractors_make_no_mean():
    """But for one classifier that two kinds of machine trained: real images score the same."""
    found = [
        {"measures": [measure("a", "last", value), measure("frechet_distance", "last", 3.0)]}
        for value in (1.0, 2.0)
    ]
    row = {"what": "it", "measure": "a", "checkpoint": "last"}
    assert study_table.values(row, found) == pytest.approx([1, 2])
    (one, of_real), (other, also) = (result["measures"] for result in found)
    other["extractor_hash"] = "b"
    with pytest.raises(study_table.Mistake, match="extractor_hash a and b"):
        study_table.values(row, found)
    of_real["reference"], also["reference"] = 0.994, 0.993
    assert study_table.values(row, found) == pytest.approx([1, 2])
    assert "`a` `b`" in study_table.describe_data([one, other])
    also["reference"] = 0.9
    with pytest.raises(study_table.Mistake, match="extractor_hash a and b"):
        study_table.values(row, found)


def test_of_several_codes_the_largest_counts_and_three_seeds_have_an_interval():
    found = [
        {"measures": [measure("a", "last", x, code) for code, x in enumerate(values)]}
        for values in ((9.0, 1.0, 2.0), (9.0, 4.0, 3.0), (9.0, 0.0, 3.0))
    ]
    row = {"what": "it", "measure": "a", "checkpoint": "last", "code": [1, 2]}
    assert study_table.values(row, found) == pytest.approx([2, 4, 3])
    assert study_table.values({**row, "code": 2}, found) == pytest.approx([2, 3, 3])
    with pytest.raises(study_table.Mistake, match="3 measures fit"):
        study_table.values({"what": "it", "measure": "a", "checkpoint": "last"}, found)
    # Of 2, 4 and 3: Student's t of two degrees, 4.303, times the deviation 1 by the root of 3.
    assert study_table.ours([2.0, 4.0, 3.0]) == "3.000 ± 2.484"
    assert study_table.ours([2.0, 4.0]) == "3.000"


def test_a_run_is_evaluated_as_the_study_says(stub, study):
    text = STUDY.replace("seeds = [0]", "seeds = [0]\nevaluate = { svm_images = 9 }")
    assert text != STUDY
    (study / "study.toml").write_text(text)
    assert reproduce.main(["mine", "--only=two"]) == 0
    assert stub.flags[-1][-1] == "--svm_images=9"
    stub.called.clear()
    assert reproduce.main(["mine", "--only=two"]) == 0
    assert stub.called == []
    (study / "study.toml").write_text(text.replace("= 9", "= 10"))
    assert reproduce.main(["mine", "--only=two"]) == 0
    assert len(stub.called) == 2


def test_shorter_runs_stand_in_the_table_until_one_is_complete(stub, study):
    assert reproduce.main(["mine"]) == 0
    (study / "study.toml").write_text(STUDY.replace("steps = 5", "steps = 9"))
    assert reproduce.main(["mine", "--table"]) == 0
    assert "2 (3.000, 5.000), 5 of 64 |" in (study / "table.md").read_text()
    stub.status["one-seed-1"] = 1
    stub.called.clear()
    assert reproduce.main(["mine"]) == 1
    assert ("jaxgan.main", "one-seed-0") in stub.called
    # The stub's results say 5 updates whatever was asked.
    assert "3.000 |  | 1, 5 of 64 |" in (study / "table.md").read_text()
    other = STUDY.replace("steps = 5 }", "steps = 5, width = 2 }")
    (study / "study.toml").write_text(other)
    assert reproduce.main(["mine", "--table"]) == 0
    assert "4 (them) | not measured |" in (study / "table.md").read_text()


def test_the_table_says_which_runs_have_the_length_of_their_source(stub, study):
    text = STUDY.replace("steps = 5 }", "steps = 5 }\nfull = 5", 1)
    (study / "study.toml").write_text(text)
    assert reproduce.main(["mine"]) == 0
    assert "5 of 64 (full length) |" in (study / "table.md").read_text()
    (study / "study.toml").write_text(text.replace("full = 5", "full = 9_000"))
    assert reproduce.main(["mine"]) == 0
    assert "5 of 64 (incomplete: 9,000 documented) |" in (study / "table.md").read_text()


def test_a_measure_of_the_data_alone_has_one_value_and_no_interval():
    assert study_table.ours([0.5, 0.5, 0.5]) == "0.500"
    assert study_table.ours([0.5, 0.5, 0.6]) == "0.533 ± 0.143"  # t of 2 degrees: 4.303.


def test_seeds_trained_together_have_the_results_of_seeds_trained_alone(stub, study, capsys):
    results = study / "results"
    assert reproduce.main(["mine"]) == 0
    alone = [json.loads((results / f"one-seed-{i}.json").read_text()) for i in (0, 1)]
    table = (study / "table.md").read_text()
    for path in results.iterdir():
        path.unlink()
    stub.called.clear()
    assert reproduce.main(["mine", "--together"]) == 0
    assert [name for _, name in stub.called[::2]] == ["one-seeds-0-1", "two-seed-0"]
    assert "--config.seeds=2" in stub.flags[-4]
    assert reproduce.main(["mine", "--together", "--list"]) == 0
    assert "--config.seeds=2 --workdir=runs/mine/one-seeds-0-1\n" in capsys.readouterr().out
    for seed in (0, 1):
        found = json.loads((results / f"one-seed-{seed}.json").read_text())
        assert found.pop("together") == [0, 1]
        expected = alone[seed]
        for key in ("measures", "scores", "flags", "step"):
            assert found[key] == expected[key]
    # The stub's second seed alone is on a TPU.
    assert (study / "table.md").read_text() == table.replace(
        "; 1 on an accelerator: TPU v5, jax 0.1", ""
    )


def test_a_seed_that_ended_among_others_has_no_result(stub, study):
    stub.ended = [1]
    assert reproduce.main(["mine", "--together", "--only=one"]) == 1
    assert [path.name for path in (study / "results").iterdir()] == ["one-seed-0.json"]


def test_seeds_trained_together_are_compared_in_their_folder(stub, study, tmp_path, monkeypatch):
    calls = []

    def compare(jobs):
        calls.append([(study_runs.trained_in(job).name, job.seed) for job in jobs])
        return {"measures": [], "chosen": None}

    monkeypatch.setattr(study_comparison, "_compare", compare)
    text = STUDY.replace("seeds = [0, 1]", "seeds = [0, 1]\ncompare = true")
    (study / "study.toml").write_text(text)
    (tmp_path / "runs" / "mine" / "one-seeds-0-1" / "checkpoints").mkdir(parents=True)
    assert reproduce.main(["mine", "--together"]) == 0
    assert calls == [[("one-seeds-0-1", 0), ("one-seeds-0-1", 1)]]


def test_the_finished_seeds_of_a_run_are_compared_once(stub, study, tmp_path, monkeypatch):
    calls = []

    def compare(jobs):
        calls.append([study_runs.trained_in(job).name for job in jobs])
        row = {**measure("consensus_code_accuracy", "best", 0.75, code=0), "seed": 1}
        return {"measures": [row], "chosen": {"seed": 1, "by": "seed_agreement"}}

    monkeypatch.setattr(study_comparison, "_compare", compare)
    text = (
        STUDY.replace("seeds = [0, 1]", "seeds = [0, 1]\ncompare = true")
        + """
[[rows]]
what = "together"
run = "one"
measure = "consensus_code_accuracy"
checkpoint = "best"
"""
    )
    (study / "study.toml").write_text(text)
    for seed in (0, 1):
        (tmp_path / "runs" / "mine" / f"one-seed-{seed}" / "checkpoints").mkdir(parents=True)
    for _ in range(2):
        assert reproduce.main(["mine"]) == 0
    assert calls == [["one-seed-0", "one-seed-1"]]
    text = (study / "table.md").read_text()
    assert "| together (best networks) |  | 0.750 |  | 2, 5 of 64 |" in text
    assert "4.000 | 5.000 | 2 (3.000, 5.000), 5 of 64 |" in text
    # The kept comparison is enough for the table, and is not of another command.
    (tmp_path / "runs" / "mine" / "one-seed-0" / "checkpoints").rmdir()
    assert reproduce.main(["mine", "--table"]) == 0
    assert text == (study / "table.md").read_text()
    kept = study / "results" / "one-compared.json"
    kept.write_text(kept.read_text().replace("steps=5", "steps=4"))
    assert reproduce.main(["mine", "--table"]) == 0
    assert "together (best networks) |  | not measured |" in (study / "table.md").read_text()
    assert len(calls) == 1


STUDIES = sorted(path.parent for path in (ROOT / "experiments").glob("*/study.toml"))


@pytest.mark.parametrize("folder", STUDIES, ids=lambda folder: folder.name)
def test_studies_name_configs_keys_and_metrics_that_exist(folder):
    study = reproduce.read_study(folder)
    for run in study["runs"]:
        name, _, arg = run["config"].partition(":")
        validate(update(from_file(ROOT / name, arg), run.get("keys", {})))
        named = run.get("evaluate", {}).get("metrics", "")
        for metric in filter(None, named.split(",")):
            assert metric_named(metric)
    for row in study.get("rows", []):
        assert better(row["measure"]) is not None, row["measure"]


def test_the_study_of_the_papers_can_be_read():
    study = reproduce.read_study(ROOT / "experiments" / "papers")
    for run in study["runs"]:
        assert "steps" in run["keys"]
        assert len(run["seeds"]) >= 3


SEARCH = [
    "--config=configs/gan.py",
    "--measure=frechet_distance",
    "--key=generator.learning_rate=log:1e-4,1e-2",
    "--key=batch_size=choice:8,16",
    "--config.steps=5",
]


def test_a_search_keeps_the_best_and_tries_fresh_seeds(stub, tmp_path):
    out = tmp_path / "found"
    assert search.main([*SEARCH, f"--out={out}", "--trials=3", "--fresh=2"]) == 0
    kept = [json.loads((out / f"trial-00{i}.json").read_text()) for i in range(3)]
    rates = [one["score"] for one in kept]
    best = rates.index(min(rates))
    assert stub.called[:3] == [("jaxgan.main", f"trial-00{i}") for i in range(3)]
    names = [name for _, name in stub.called[3:]]
    assert names == [f"trial-00{best}-seed-1"] * 2 + [f"trial-00{best}-seed-2"] * 2
    [first, *_] = [line for line in (out / "table.md").read_text().splitlines() if "| 0.0" in line]
    assert first.startswith(f"| {best} |")
    # Of 5 and 7, the Fréchet distances of seeds 1 and 2.
    assert "| frechet_distance | test | last | 6.000 | 2 |" in (out / "table.md").read_text()
    # A longer search goes on: the same trials, and more of them.
    stub.called.clear()
    assert search.main([*SEARCH, f"--out={out}", "--trials=4", "--fresh=0"]) == 0
    assert stub.called == [("jaxgan.main", "trial-003")]


def test_a_trial_that_is_not_finite_counts_and_loses(stub, tmp_path):
    stub.status |= {"trial-000": 1, "trial-001": 1}
    flags = [*SEARCH, f"--out={tmp_path / 'found'}", "--fresh=0"]
    assert search.main([*flags, "--trials=2"]) == 2  # There is no best one.
    assert search.main([*flags, "--trials=3"]) == 0
    assert [name for _, name in stub.called] == ["trial-000", "trial-001", "trial-002"]
    table = (tmp_path / "found" / "table.md").read_text()
    assert table.splitlines()[4].startswith("| 2 |")
    assert table.count("not finite") == 2


def test_a_trial_that_was_stopped_is_not_kept(stub, tmp_path):
    stub.status["trial-001"] = 128 + signal.SIGINT
    flags = [*SEARCH, f"--out={tmp_path / 'found'}", "--fresh=1", "--trials=3"]
    assert search.main(flags) == 128 + signal.SIGINT
    stub.status.clear()
    stub.called.clear()
    assert search.main(flags) == 0
    assert [name for _, name in stub.called][:2] == ["trial-001", "trial-002"]


def test_draws_are_of_the_seed_the_trial_and_the_key():
    space = [search.parse_key(text) for text in ("width=uniform:1,3", "batch_size=choice:8,16,32")]
    rate = search.parse_key("generator.learning_rate=log:1e-5,1e-1")
    first = search.draw(space, 0, 4)
    assert search.draw([rate, *space], 0, 4).items() >= first.items()
    assert search.draw(space, 1, 4) != first
    two = [search.parse_key(f"{player}.dropout=uniform:0,0.9") for player in PLAYERS]
    assert len(set(search.draw(two, 0, 0).values())) == 2  # Each key draws for itself.
    drawn = [search.draw([rate, *space], 0, i) for i in range(300)]
    rates = sorted(float(one["generator.learning_rate"]) for one in drawn)
    assert 1e-5 <= rates[0] < 2e-5
    assert 5e-2 < rates[-1] <= 1e-1
    assert 5e-4 < rates[150] < 2e-3  # Half of them lie below the middle of the exponents.
    assert all(1 <= float(one["width"]) <= 3 for one in drawn)
    assert {one["batch_size"] for one in drawn} == {"8", "16", "32"}


@pytest.mark.parametrize(
    "wrong",
    [
        ["--key=no.such=log:1,2"],
        ["--key=width=between:1,2"],
        ["--key=width=log:0,2"],
        ["--key=width=uniform:2,1"],
        ["--key=width=uniform:1,x"],
        ["--key=batch_size=choice:"],
        ["--trials=0"],
        ["--steps=5"],
    ],
    ids=lambda one: one[0],
)
def test_mistakes_in_a_search(stub, tmp_path, capsys, wrong):
    assert search.main([*SEARCH, f"--out={tmp_path / 'found'}", "--trials=1", *wrong]) == 2
    given = capsys.readouterr().err
    assert given.startswith("search: ")
    assert len(given.splitlines()) == 1
    assert stub.called == []


def test_the_score_is_the_best_of_the_steps_summed_over_codes(tmp_path):
    rows = [
        {"step": 1, "eval/code_information_0": 1.0, "eval/code_information_2": 2.0},
        {"step": 2, "eval/code_information_0": 0.5, "eval/code_information_2": 1.0},
        {"step": 3, "eval/code_information_0": float("nan"), "eval/code_information_2": 9.0},
    ]
    (tmp_path / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert search.score(tmp_path, "code_information") == pytest.approx(3)
    assert search.score(tmp_path, "frechet_distance") is None
    assert search.score(tmp_path / "nowhere", "frechet_distance") is None


def test_a_real_command_is_logged(tmp_path):
    """One real child: its words in the log, its status; none after a stop."""
    children = study_runs.Children()
    log = tmp_path / "logs" / "one.log"
    assert children.call("json.tool", ["nowhere.json"], log) != 0
    assert "nowhere.json" in log.read_text()
    children.stop(signal.SIGINT)
    assert children.call("json.tool", [], log) == 128 + signal.SIGINT


def test_a_smaller_frechet_distance_is_the_better_one():
    assert {name for name, sign in search.MEASURES.items() if sign < 0} == {"frechet_distance"}
    assert search.MEASURES["code_information"] == 1


def test_variants_of_a_measure_have_its_scale():
    measures = ["tag_precision_linear", "tag_recall", "tag_precision", "tag_precisions"]
    stems = [study_table._stem(name, measures) for name in measures]
    assert stems == ["tag_precision", "tag_recall", "tag_precision", "tag_precisions"]
