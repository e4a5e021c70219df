"""Runs or resumes a study: each of its configs is trained over some seeds and then evaluated.

python experiments/reproduce.py papers [--only=NAME …] [--jobs=1] [--together] [--list | --table]

A study is experiments/NAME/study.toml. The result of a finished run is kept in experiments/NAME/
results/, and the run is not repeated while its command is the same. The runs themselves are in
runs/NAME/. With --together one program trains all missing seeds of a config that are consecutive,
and so compiles once; each seed's result is what it would be alone, up to rounding. For a run with
`compare = true` the codes of its finished seeds are compared: the chosen seed and the accuracy of
the consensus go to results/RUN-compared.json. At the end (or at once, with --table) the table and
the figure of the available results are written to the study's folder. The table also replaces the
text between <!-- NAME begins --> and <!-- NAME ends --> in experiments/README.md. A run's `full` is
the number of updates of its source.

Exit status: 0; 1 if a run failed; 2 for a mistake in the study or the flags; 128 + n if signal n
stopped the study, which the same command then resumes.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable

from study_table import Mistake, as_flags, figure, replace_section, table

from jaxgan.common.errors import UserError
from jaxgan.common.files import write_json, write_text

ROOT = pathlib.Path(__file__).resolve().parents[1]
RUN_KEYS = {"name", "config", "seeds", "keys", "evaluate", "full", "compare"}
ROW_KEYS = {"what", "run", "measure", "code", "split", "extractor", "checkpoint"}
ROW_KEYS |= {"paper", "source", "differs"}


@dataclasses.dataclass(frozen=True)
class Job:
    """One seed of one config.

    Attributes:
      name: the config's name in the study.
      seed: the run's seed.
      flags: flags of `jaxgan.main`, without --workdir.
      workdir: the run's folder.
      result: the file that keeps its result.
      evaluate: flags of `jaxgan.evaluate`, without --workdir.
    """

    name: str
    seed: int
    flags: tuple[str, ...]
    workdir: pathlib.Path
    result: pathlib.Path
    evaluate: tuple[str, ...] = ()

    @property
    def log(self) -> pathlib.Path:
        """The file that receives the output of its commands."""
        return log_of(self.workdir)


def log_of(workdir: pathlib.Path) -> pathlib.Path:
    """The file beside a run's folder that receives the output of its commands."""
    return workdir.with_name(f"{workdir.name}.log")


def read_study(folder: pathlib.Path) -> dict:
    """A study's `title`, `runs` and `rows`.

    Raises:
      Mistake: if the file is missing or malformed, or a key or a run is unknown or missing.
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
        raise Mistake(f"{path}: runs need names, each its own")
    for row in study.get("rows", []):
        if row["run"] not in names:
            raise Mistake(f"{path}: {row['what']!r} is of a run {row['run']!r} that is not there")
    return study


def study_jobs(study: dict, folder: pathlib.Path, runs: pathlib.Path) -> list[Job]:
    """The study's jobs: the first seed of every config comes first."""
    jobs = []
    for i in range(max(len(run["seeds"]) for run in study["runs"])):
        for run in study["runs"]:
            for seed in run["seeds"][i : i + 1]:
                name = f"{run['name']}-seed-{seed}"
                flags = (f"--config={run['config']}", f"--config.seed={seed}")
                flags += as_flags("--config.", run.get("keys", {}))
                evaluate = as_flags("--", run.get("evaluate", {}))
                result = folder / "results" / f"{name}.json"
                jobs.append(Job(run["name"], seed, flags, runs / name, result, evaluate))
    return jobs


def load_result(job: Job, partial: bool = False) -> dict | None:
    """The kept result of a job, or None if there is none of the same command; with `partial` also
    that of another number of steps."""
    if not job.result.exists():
        return None
    found: dict = json.loads(job.result.read_text())
    kept, wanted = found["flags"], list(job.flags)
    if partial:
        kept, wanted = (
            [flag for flag in flags if not flag.startswith("--config.steps=")]
            for flags in (kept, wanted)
        )
    same = kept == wanted and found.get("evaluate", []) == list(job.evaluate)
    return found if same else None


# --- Running


class Children:
    """The running commands. As a context manager it catches SIGINT and SIGTERM with `stop`."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen] = set()
        self.stopped = 0

    def __enter__(self) -> "Children":
        caught = (signal.SIGINT, signal.SIGTERM)
        self._handlers = {number: signal.signal(number, self.stop) for number in caught}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def call(self, module: str, flags: list[str], log: pathlib.Path) -> int:
        """Runs `python -m MODULE FLAGS` and appends its output to a log; returns the exit status.
        After `stop` it starts nothing."""
        if self.stopped:
            return 128 + self.stopped
        log.parent.mkdir(parents=True, exist_ok=True)
        with open(log, "a") as output:
            # In its own session, so that a Ctrl-C reaches it through `stop` alone: a second signal
            # would end it before it has saved.
            child = subprocess.Popen(
                [sys.executable, "-m", module, *flags],
                cwd=ROOT,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            self._running.add(child)
            try:
                return child.wait()
            finally:
                self._running.discard(child)

    def stop(self, number: int, frame: object = None) -> None:
        """Signals every command to save and end."""
        del frame
        self.stopped = number
        for child in list(self._running):
            child.send_signal(signal.SIGTERM)


def run_jobs(jobs: list[Job], children: Children) -> int:
    """Trains and evaluates consecutive seeds of one config in one program, and keeps the result of
    each; returns the first exit status that is not 0, or 1 if a seed's losses became
    not finite, which then has no result."""
    first, workdir = jobs[0], shared_workdir(jobs)
    log = log_of(workdir)
    flag = f"--workdir={workdir}"
    status = children.call("jaxgan.main", [*training_flags(jobs), flag], log)
    status = status or children.call("jaxgan.evaluate", [flag, *first.evaluate], log)
    if status:
        return status
    about = json.loads((workdir / "config.json").read_text())
    results = json.loads((workdir / "results.json").read_text())
    first.result.parent.mkdir(parents=True, exist_ok=True)
    for job in jobs:
        if str(job.seed) in results.get("ended", {}):
            status = 1
            continue
        kept = {
            "flags": list(job.flags),
            **({"evaluate": list(job.evaluate)} if job.evaluate else {}),
            **({"together": [one.seed for one in jobs]} if len(jobs) > 1 else {}),
            "batch_size": about["config"]["batch_size"],
            "commit": about["commit"],
            "device": about["device"],
            "jax": about["versions"]["jax"],
            **(results_of_seed(results, job.seed) if len(jobs) > 1 else results),
        }
        write_json(str(job.result), kept)
    return status


def training_flags(jobs: list[Job]) -> list[str]:
    """Flags of `jaxgan.main` for consecutive seeds, without --workdir."""
    return [*jobs[0].flags, *[f"--config.seeds={len(jobs)}"] * (len(jobs) > 1)]


def shared_workdir(jobs: list[Job]) -> pathlib.Path:
    """The folder of a run of one or several seeds."""
    return _workdir(jobs[0], [job.seed for job in jobs])


def trained_in(job: Job) -> pathlib.Path:
    """The folder of the run that gave a job's kept result."""
    return _workdir(job, (load_result(job) or {}).get("together", [job.seed]))


def _workdir(job: Job, seeds: list[int]) -> pathlib.Path:
    if len(seeds) == 1:
        return job.workdir
    return job.workdir.with_name(f"{job.name}-seeds-{seeds[0]}-{seeds[-1]}")


def results_of_seed(results: dict, seed: int) -> dict:
    """One seed's part of the results of several; rows that compare seeds are left out."""
    from jaxgan.evaluation.registry import OF_SEEDS

    measures = [m for m in results["measures"] if m["seed"] == seed and m["name"] not in OF_SEEDS]
    rollbacks = [one for one in results.get("rollbacks", []) if one["seed"] == seed]
    scores = {key: score for key, score in results.get("scores", {}).items() if int(key) == seed}
    return {
        "step": results["step"],
        "measures": measures,
        "rollbacks": rollbacks,
        "ended": {},
        "scores": scores,
        "chosen": None,
    }


def together(jobs: list[Job]) -> list[list[Job]]:
    """The jobs in groups of one config with consecutive seeds."""
    groups: list[list[Job]] = []
    for name in dict.fromkeys(job.name for job in jobs):
        last = None
        for job in sorted((job for job in jobs if job.name == name), key=lambda job: job.seed):
            if last is None or job.seed != last.seed + 1:
                groups.append([])
            groups[-1].append(job)
            last = job
    return groups


def run_all(
    jobs: list[Job],
    children: Children,
    at_once: int,
    run: Callable[[list[Job]], int],
    seeds_together: bool = False,
) -> int:
    """Runs the jobs that have no kept result, each by itself or in the groups of `together`;
    returns the exit status of the study."""
    missing = [job for job in jobs if load_result(job) is None]
    print(f"{len(jobs) - len(missing)} of {len(jobs)} runs are there", flush=True)
    groups = together(missing) if seeds_together else [[job] for job in missing]

    def run_one(group: list[Job]) -> int:
        if children.stopped:
            return 128 + children.stopped
        seeds = ", ".join(str(job.seed) for job in group)
        what = f"{group[0].name}, seed{'s' * (len(group) > 1)} {seeds}"
        print(f"{what}: begins", flush=True)
        status = run(group)
        log = log_of(shared_workdir(group))
        outcome = "done" if status == 0 else f"ended with status {status}, see {log}"
        print(f"{what}: {outcome}", flush=True)
        return status

    with concurrent.futures.ThreadPoolExecutor(at_once) as pool:
        statuses = list(pool.map(run_one, groups))
    if children.stopped:
        return 128 + children.stopped
    return max(statuses, default=0) and (2 if 2 in statuses else 1)


# --- Comparing the seeds of a run


def comparison(run: dict, folder: pathlib.Path, jobs: list[Job]) -> dict | None:
    """The kept comparison, or None if it does not cover exactly the finished seeds."""
    path = _comparison_file(run, folder)
    if not path.exists():
        return None
    found: dict = json.loads(path.read_text())
    about = _compared(run, _finished(run, jobs))
    return found if all(found[key] == value for key, value in about.items()) else None


def _finished(run: dict, jobs: list[Job]) -> list[Job]:
    return [job for job in jobs if job.name == run["name"] and load_result(job)]


def _compared(run: dict, jobs: list[Job]) -> dict:
    """Identifies a comparison by its seeds and their common flags."""
    flags = list(as_flags("--config.", run.get("keys", {})))
    return {"seeds": [job.seed for job in jobs], "flags": flags}


def compare_seeds(study: dict, folder: pathlib.Path, jobs: list[Job]) -> int:
    """Compares the codes of the finished seeds of each run with `compare = true`, where their
    folders are still there and no comparison of all of them is kept; returns 1 if one failed."""
    status = 0
    for run in study["runs"]:
        finished = _finished(run, jobs)
        present = all((trained_in(job) / "checkpoints").exists() for job in finished)
        if not run.get("compare") or len(finished) < 2 or not present:
            continue
        if comparison(run, folder, jobs) is None:
            print(f"{run['name']}: comparing {len(finished)} seeds", flush=True)
            try:
                found = _compare(finished)
            except UserError as error:
                print(f"{run['name']}: not compared: {error}", flush=True)
                status = 1
                continue
            kept = load_result(finished[0]) or {}
            found |= {key: kept[key] for key in ("step", "batch_size")} | _compared(run, finished)
            write_json(str(_comparison_file(run, folder)), found)
    return status


def _compare(jobs: list[Job]) -> dict:
    """The rows that compare the seeds' codes, and the chosen seed; UserError if there are none, or
    the data is not there."""
    from jaxgan import data
    from jaxgan.evaluation import runner, selection
    from jaxgan.inference import loading
    from jaxgan.training import jax_setup

    about = loading.read_about(str(trained_in(jobs[0])))
    jax_setup.configure_jax(about["config"]["dtype"])
    runs = [run for job in jobs for run in loading.load_every(str(trained_in(job)), job.seed)[1]]
    config = runs[0].config
    if runs[0].gan.q is None:
        raise UserError(f"{config.system} has no codes to compare", "leave out `compare`")
    codes = runner.read_codes(runs, data.load(config), config.results_images)
    rows = selection.compare_seeds(runs[0].gan.latent.codes, codes)
    chosen = selection.choose_seed(rows, {}, config.best_by)
    return {"measures": [row.as_json() for row in rows], "chosen": chosen}


def _comparison_file(run: dict, folder: pathlib.Path) -> pathlib.Path:
    return folder / "results" / f"{run['name']}-compared.json"


# --- The table and the figure


def write(study: dict, jobs: list[Job], folder: pathlib.Path) -> None:
    """Writes the table and the figure of the available results, and prints the table."""
    results: dict[str, list[dict]] = {}
    for name in dict.fromkeys(job.name for job in jobs):
        # Shorter runs stand in the table until the first one of full length is there.
        for partial in (False, True):
            found = [load_result(job, partial) for job in jobs if job.name == name]
            results[name] = results.get(name) or [one for one in found if one is not None]
    for run in study["runs"]:
        compared = comparison(run, folder, jobs)
        if compared is not None:
            count = {"seeds": len(compared["seeds"])}
            measures = [measure | count for measure in compared["measures"]]
            results[run["name"]].append(compared | {"measures": measures})
    text, folder = table(study, results), folder.resolve()
    write_text(str(folder / "table.md"), text)
    replace_section(folder.parent / "README.md", folder.name, text)
    figure(study, results, folder / "figure.png")
    print(text)


def main(argv: list[str] | None = None) -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", help="a folder, or its name under experiments/")
    parser.add_argument("--only", action="append", help="runs of this name")
    parser.add_argument("--jobs", type=int, default=1, help="how many runs at once")
    parser.add_argument("--together", action="store_true", help="train seeds in one program")
    parser.add_argument("--list", action="store_true", help="print the commands")
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args(argv)
    folder = pathlib.Path(arguments.study)
    if not folder.is_dir():
        folder = ROOT / "experiments" / arguments.study
    children, status = Children(), 0
    try:
        study = read_study(folder)
        every = study_jobs(study, folder, ROOT / "runs" / folder.resolve().name)
        jobs = [job for job in every if not arguments.only or job.name in arguments.only]
        if not jobs or arguments.jobs < 1:
            only = ", ".join(arguments.only or [])
            raise Mistake(f"no run of {only}; at least one job at once")
        if arguments.list:
            for group in together(jobs) if arguments.together else [[job] for job in jobs]:
                workdir = os.path.relpath(shared_workdir(group), ROOT)
                flags = [*training_flags(group), f"--workdir={workdir}"]
                print(shlex.join(["python", "-m", "jaxgan.main", *flags]))
            return 0
        if not arguments.table:
            with children:
                status = run_all(
                    jobs,
                    children,
                    arguments.jobs,
                    lambda group: run_jobs(group, children),
                    arguments.together,
                )
            if not children.stopped:
                status = max(status, compare_seeds(study, folder, every))
        write(study, every, folder)
    except Mistake as mistake:
        print(f"reproduce: {mistake}", file=sys.stderr)
        return 2
    return status


if __name__ == "__main__":
    sys.exit(main())
