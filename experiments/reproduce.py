"""Runs a study, or goes on with it: some configs over some seeds, each trained and then evaluated.

python experiments/reproduce.py papers [--only=NAME …] [--jobs=1] [--list | --table]

A study is experiments/NAME/study.toml. What is left of a finished run lies in experiments/NAME/
results/ and stays there: it is not run again while its command is the same. The runs themselves are
in runs/NAME/. Afterwards, and with --table alone, the table and the figure of what is there are
written beside the study. Exit status: 0; 1 a run failed; 2 a mistake in what was asked for; 128 + n
stopped by signal n, and called again it goes on. The table also takes the place of what stands
between <!-- NAME begins --> and <!-- NAME ends --> in experiments/README.md.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import shlex
import signal
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Callable

from jaxgan.common.errors import UserError
from jaxgan.common.files import write_json, write_text
from jaxgan.evaluation.results import compare, half_interval

ROOT = pathlib.Path(__file__).resolve().parents[1]
RUN_KEYS = {"name", "config", "seeds", "keys", "evaluate"}
ROW_KEYS = {"what", "run", "measure", "code", "split", "checkpoint", "paper", "source", "differs"}
HEAD = ("", "paper", "ours", "seeds, updates", "read on", "how the protocols differ", "run")


class Mistake(Exception):
    """Something in the study or on the command line is wrong: a line, and exit status 2."""


@dataclasses.dataclass(frozen=True)
class Job:
    """One seed of one config.

    Attributes:
      name: of the config in the study.
      seed: of the run.
      flags: of `jaxgan.main`, without its workdir.
      workdir: of the run.
      kept: the file in which its results stay.
      evaluate: flags of `jaxgan.evaluate`, without its workdir.
    """

    name: str
    seed: int
    flags: tuple[str, ...]
    workdir: pathlib.Path
    kept: pathlib.Path
    evaluate: tuple[str, ...] = ()


def read_study(folder: pathlib.Path) -> dict:
    """A study's `title`, `runs` and `rows`.

    Raises:
      Mistake: if there is none, or it speaks of something unknown.
    """
    path = folder / "study.toml"
    try:
        study = tomllib.loads(path.read_text())
    except OSError:
        raise Mistake(f"{path}: no such file") from None
    except tomllib.TOMLDecodeError as error:
        raise Mistake(f"{path}: {error}") from None
    names = [run.get("name") for run in study.get("runs", [])]
    for part, known, needed in (
        ("runs", RUN_KEYS, {"name", "config", "seeds"}),
        ("rows", ROW_KEYS, {"what", "run", "measure", "checkpoint"}),
    ):
        for one in study.get(part, []):
            for key in sorted(one.keys() - known):
                raise Mistake(f"{path}: {part} have no {key!r}")
            for key in sorted(needed - one.keys()):
                raise Mistake(f"{path}: {key!r} is missing in one of the {part}")
    if len(set(names)) < len(names) or not names:
        raise Mistake(f"{path}: runs want names, each its own")
    for row in study.get("rows", []):
        if row["run"] not in names:
            raise Mistake(f"{path}: {row['what']!r} is of a run {row['run']!r} that is not there")
    return study


def jobs(study: dict, folder: pathlib.Path, runs: pathlib.Path) -> list[Job]:
    """What the study consists of: the first seed of every config first."""
    found = []
    for place in range(max(len(run["seeds"]) for run in study["runs"])):
        for run in study["runs"]:
            for seed in run["seeds"][place : place + 1]:
                flags = [f"--config={run['config']}", f"--config.seed={seed}"]
                flags += [f"--config.{key}={value}" for key, value in run.get("keys", {}).items()]
                name = f"{run['name']}-seed-{seed}"
                kept = folder / "results" / f"{name}.json"
                asked = tuple(f"--{key}={value}" for key, value in run.get("evaluate", {}).items())
                found.append(Job(run["name"], seed, tuple(flags), runs / name, kept, asked))
    return found


def kept(job: Job) -> dict | None:
    """What is left of a finished job, or None where there is nothing of this very command."""
    if not job.kept.exists():
        return None
    found = json.loads(job.kept.read_text())
    same = found["flags"] == list(job.flags) and found.get("evaluate", []) == list(job.evaluate)
    return found if same else None


# --- Running


class Children:
    """The commands that run now. After `stop` nothing is started any more."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen] = set()
        self.stopped = 0

    def call(self, module: str, flags: list[str], log: pathlib.Path) -> int:
        """Runs `python -m MODULE FLAGS`, its words in a log; the exit status."""
        if self.stopped:
            return 128 + self.stopped
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a") as words:
            command = [sys.executable, "-m", module, *flags]
            # In a session of its own: Ctrl-C comes from `stop` alone, for a second signal would end
            # it unsaved.
            child = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=words,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(child)
            try:
                return child.wait()
            finally:
                self._running.discard(child)

    def stop(self, number: int, frame: object = None) -> None:
        """Tells every command to save and to end."""
        del frame
        self.stopped = number
        for child in list(self._running):
            child.send_signal(signal.SIGTERM)


def log_of(job: Job) -> pathlib.Path:
    """Where its commands' words go."""
    return job.workdir.with_name(job.workdir.name + ".log")


def do(job: Job, children: Children) -> int:
    """Trains, evaluates, and keeps the results; the first exit status that is not 0."""
    log = log_of(job)
    workdir = f"--workdir={job.workdir}"
    status = children.call("jaxgan.main", [*job.flags, workdir], log)
    status = status or children.call("jaxgan.evaluate", [workdir, *job.evaluate], log)
    if status:
        return status
    about = json.loads((job.workdir / "config.json").read_text())
    results = json.loads((job.workdir / "results.json").read_text())
    job.kept.parent.mkdir(parents=True, exist_ok=True)
    kept_result = {
        "flags": list(job.flags),
        **({"evaluate": list(job.evaluate)} if job.evaluate else {}),
        "batch_size": about["config"]["batch_size"],
        "commit": about["commit"],
        **results,
    }
    write_json(str(job.kept), kept_result)
    return 0


def run_all(wanted: list[Job], children: Children, at_once: int, do: Callable[[Job], int]) -> int:
    """Does what is not there yet; the exit status of all."""
    missing = [job for job in wanted if kept(job) is None]
    print(f"{len(wanted) - len(missing)} of {len(wanted)} runs are there", flush=True)

    def one(job: Job) -> int:
        if children.stopped:
            return 128 + children.stopped
        print(f"{job.name}, seed {job.seed}: begins", flush=True)
        status = do(job)
        said = "done" if status == 0 else f"ended with status {status}, see {log_of(job)}"
        print(f"{job.name}, seed {job.seed}: {said}", flush=True)
        return status

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        statuses = list(pool.map(one, missing))
    if children.stopped:
        return 128 + children.stopped
    return max(statuses, default=0) and (2 if 2 in statuses else 1)


# --- The table and the figure


def picked(row: dict, found: list[dict]) -> list[dict]:
    """The row's measure in each run that has it; of several codes the largest.

    Raises:
      Mistake: if a run has it twice, or the runs' figures are not of one kind.
    """
    wanted = {key: row[key] for key in ("checkpoint", "split") if key in row}
    wanted["name"] = row["measure"]
    codes = row.get("code")
    codes = codes if isinstance(codes, list) or codes is None else [codes]
    rows = []
    for results in found:
        here = [
            m
            for m in results["measures"]
            if wanted.items() <= m.items() and (codes is None or m["code"] in codes)
        ]
        if len({m["code"] for m in here}) < len(here) or (codes is None and len(here) > 1):
            raise Mistake(f"{row['what']}: {len(here)} measures fit; name code and split")
        if here:
            # Of which code it is, is not what tells two runs apart.
            rows.append({**max(here, key=lambda m: m["value"]), "code": str(codes)})
    for measure in rows[1:]:
        try:
            compare(rows[0], measure)
        except UserError as error:
            said = str(error).splitlines()[0]
            raise Mistake(f"{row['what']}: {said}") from None
    return rows


def values(row: dict, found: list[dict]) -> list[float]:
    """The figures of `picked`."""
    return [measure["value"] for measure in picked(row, found)]


def read_on(rows: list[dict]) -> str:
    """On how many examples of which split, by which extractor, and what stands beside it."""
    if not rows:
        return ""
    one = rows[0]
    parts = [one["split"]]
    for count, what in ((one["n_real"], "real"), (one["n_generated"], "generated")):
        parts += [f"{count:,} {what}"] if count else []
    if one["extractor"]:
        digest = one["extractor_hash"]
        parts.append(one["extractor"] + (f" `{digest[:8]}`" if digest else ""))
    beside = sorted({m["reference"] for m in rows if m["reference"] is not None})
    if beside:
        parts.append("reference " + " to ".join(dict.fromkeys(map(shown, (beside[0], beside[-1])))))
    return ", ".join(parts)


def ours(read: list[float]) -> str:
    """The mean and its 95 % interval over the seeds."""
    if not read:
        return "not measured"
    mean = statistics.mean(read)
    if len(read) < 3:  # Of two the interval is wider than what is measured.
        return shown(mean)
    return f"{shown(mean)} ± {half_interval(read):.{decimals(mean)}f}"


def each(read: list[float]) -> str:
    """Every seed's own value, where there are several."""
    return f" ({', '.join(map(shown, read))})" if len(read) > 1 else ""


def shown(value: float) -> str:
    """Shares with three decimals, larger numbers with fewer."""
    return f"{value:.{decimals(value)}f}"


def decimals(value: float) -> int:
    """How many a figure is shown with."""
    return 3 if abs(value) < 10 else 1


def table(study: dict, results: dict[str, list[dict]]) -> str:
    """The study as Markdown.

    Args:
      study: with its rows.
      results: what is left of the finished runs, by the config's name.
    """
    lines = [HEAD, ("---",) * len(HEAD)]
    for row in study["rows"]:
        found = results.get(row["run"], [])
        measures = picked(row, found)
        read = [measure["value"] for measure in measures]
        sizes = sorted({(one["step"], one["batch_size"]) for one in found})
        budget = "; ".join(f"{step:,} of {batch}" for step, batch in sizes)
        paper = " ".join(filter(None, [str(row.get("paper", "")), bracketed(row.get("source"))]))
        lines.append(
            (
                f"{row['what']} ({row['checkpoint']} networks)",
                paper,
                ours(read),
                f"{len(read)}{each(read)}, {budget}" if read else "",
                read_on(measures),
                row.get("differs", ""),
                f"`{row['run']}`",
            )
        )
    commands = [
        f"- `{run['name']}`: `python -m jaxgan.main --config={run['config']}"
        + "".join(f" --config.{key}={value}" for key, value in run.get("keys", {}).items())
        + f"`, seeds {', '.join(map(str, run['seeds']))}"
        + evaluated(run)
        for run in study["runs"]
    ]
    body = ["| " + " | ".join(line) + " |" for line in lines]
    said = "Mean over the seeds, of three and more ± its 95 % interval (Student's t)."
    head = f"# {study['title']}\n\n{said}"
    return "\n".join([head, "", *body, "", "The runs:", "", *commands]) + "\n"


def evaluated(run: dict) -> str:
    """How a run is evaluated, where the study says more than the run's folder."""
    flags = " ".join(f"--{key}={value}" for key, value in run.get("evaluate", {}).items())
    return f"; then `python -m jaxgan.evaluate --workdir=DIR {flags}`" if flags else ""


def bracketed(text: str | None) -> str:
    """ "(text)", or nothing."""
    return f"({text})" if text else ""


def figure(study: dict, results: dict[str, list[dict]], path: pathlib.Path) -> None:
    """A line for each row that was measured: its seeds, their mean and interval, the paper's."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    read = [(row, values(row, results.get(row["run"], []))) for row in study["rows"]]
    read = [(row, found) for row, found in read if found]
    if not read:
        return
    drawn, axes = plt.subplots(len(read), 1, figsize=(7, 0.9 * len(read) + 0.3), squeeze=False)
    for (row, found), axis in zip(read, axes[:, 0], strict=True):
        error = half_interval(found) if len(found) > 2 else 0
        axis.plot(found, [0] * len(found), "o", color="tab:blue", alpha=0.4)
        axis.errorbar(statistics.mean(found), 0, xerr=error, fmt="|", color="tab:blue", capsize=4)
        if isinstance(row.get("paper"), (int, float)):
            axis.axvline(row["paper"], color="tab:red", linestyle="--")
        axis.set_yticks([])
        axis.margins(x=0.1)
        axis.set_title(f"{row['what']} ({row['checkpoint']})", fontsize=8, loc="left")
        axis.tick_params(labelsize=7)
    drawn.tight_layout()
    drawn.savefig(path, dpi=110)
    plt.close(drawn)


def put_between(path: pathlib.Path, name: str, text: str) -> None:
    """Replaces what stands between a study's two marks in a page, where the page has them; the
    text's heading stays out."""
    begins, ends = f"<!-- {name} begins -->\n", f"<!-- {name} ends -->"
    page = path.read_text() if path.is_file() else ""
    before, found, rest = page.partition(begins)
    _, closed, after = rest.partition(ends)
    if found and closed:
        _, _, body = text.partition("\n\n")
        write_text(str(path), f"{before}{begins}{body}{ends}{after}")


def write(study: dict, wanted: list[Job], folder: pathlib.Path) -> None:
    """Writes the table and the figure of the runs that are there, and prints the table."""
    results: dict[str, list[dict]] = {}
    for job in wanted:
        found = kept(job)
        if found is not None:
            results.setdefault(job.name, []).append(found)
    text = table(study, results)
    write_text(str(folder / "table.md"), text)
    put_between(folder.resolve().parent / "README.md", folder.resolve().name, text)
    figure(study, results, folder / "figure.png")
    print(text)


def main(argv: list[str] | None = None) -> int:
    """Does what the command line asks for; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", help="a folder, or its name under experiments/")
    parser.add_argument("--only", action="append", help="runs of this name")
    parser.add_argument("--jobs", type=int, default=1, help="how many runs at once")
    parser.add_argument("--list", action="store_true", help="print the commands")
    parser.add_argument("--table", action="store_true", help="run nothing")
    asked = parser.parse_args(argv)
    folder = pathlib.Path(asked.study)
    if not folder.is_dir():
        folder = ROOT / "experiments" / asked.study
    children = Children()
    try:
        study = read_study(folder)
        every = jobs(study, folder, ROOT / "runs" / folder.resolve().name)
        wanted = [job for job in every if not asked.only or job.name in asked.only]
        if not wanted or asked.jobs < 1:
            raise Mistake(f"no run of {', '.join(asked.only or [])}; at least one job at once")
        if asked.list:
            for job in wanted:
                flags = [*job.flags, f"--workdir={os.path.relpath(job.workdir, ROOT)}"]
                print(shlex.join(["python", "-m", "jaxgan.main", *flags]))
            return 0
        status = 0
        if not asked.table:
            before = {n: signal.signal(n, children.stop) for n in (signal.SIGINT, signal.SIGTERM)}
            try:
                status = run_all(wanted, children, asked.jobs, lambda job: do(job, children))
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)
        write(study, every, folder)
    except Mistake as mistake:
        print(f"reproduce: {mistake}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
