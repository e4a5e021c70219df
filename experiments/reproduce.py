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
import os
import pathlib
import shlex
import sys
import tomllib

from study_comparison import compare_seeds, comparison
from study_runs import (
    ROOT,
    Children,
    Job,
    load_result,
    run_all,
    run_jobs,
    shared_workdir,
    study_jobs,
    together,
    training_flags,
)
from study_table import Mistake, figure, replace_section, table

from jaxgan.common.files import write_text

RUN_KEYS = {"name", "config", "seeds", "keys", "evaluate", "full", "compare"}
ROW_KEYS = {"what", "run", "measure", "code", "split", "extractor", "checkpoint"}
ROW_KEYS |= {"paper", "source", "differs"}


def read_study(folder: pathlib.Path) -> dict:
    """A study's `title`, `runs` and `rows`.

    Raises:
      Mistake: if the file is missing or malformed, or a key or a run is unknown or missing.
    """
    path = folder / "study.toml"
    try:
        study = tomllib.loads(path.read_text(encoding="utf-8"))
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


def write(study: dict, jobs: list[Job], folder: pathlib.Path) -> None:
    """Writes the table and the figure of the available results, and prints the table."""
    results: dict[str, list[dict]] = {}
    for name in dict.fromkeys(job.name for job in jobs):
        # Shorter runs stand in the table until the first one of full length is there.
        for partial in (False, True):
            found = [load_result(job, partial) for job in jobs if job.name == name]
            results[name] = results.get(name) or longest([one for one in found if one is not None])
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


def longest(results: list[dict]) -> list[dict]:
    """The results of the runs with the most updates: others do not belong into their mean."""
    most = max((one["step"] for one in results), default=0)
    return [one for one in results if one["step"] == most]


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
        if arguments.jobs < 1:
            raise Mistake(f"--jobs={arguments.jobs}: must be at least 1")
        if not jobs:
            raise Mistake(f"--only: no run is named {' or '.join(arguments.only)}")
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
