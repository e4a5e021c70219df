"""The comparison of a run's finished seeds: which one is chosen, and their consensus."""

import json
import pathlib

from study_runs import Job, load_result, trained_in
from study_table import as_flags

from jaxgan.common.errors import UserError
from jaxgan.common.files import write_json


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
