"""The runs of a study: their commands, their kept results, and the processes that make them."""

import concurrent.futures
import dataclasses
import json
import pathlib
import signal
import subprocess
import sys
from collections.abc import Callable

from study_table import as_flags

from jaxgan.common.files import write_json

ROOT = pathlib.Path(__file__).resolve().parents[1]


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
