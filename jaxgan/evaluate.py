"""`python -m jaxgan.evaluate --workdir=DIR [--checkpoint=best|last|raw] [--seed=…] [--n=10000]
[--metrics=NAME,…]`

Evaluates a trained run with every applicable metric, or those that --metrics names, for each seed,
on the last and the best networks; if the run keeps moving averages, also on the last networks
without them (raw). Prints the table, merges the results into the run's results.json and writes
report.html anew; without --metrics also neighbours.png (generated images with their nearest
training images) and confusion.txt (if the run is conditioned on labels). Exit status: 0; 1 the disk
is full; 2 an error in the arguments.
"""

import functools
import os
from typing import Any

from absl import app, flags

from jaxgan import cli, data
from jaxgan.cli import CHECKPOINT, DATA_DIR, MODULES, SEED, WORKDIR, N, start_command
from jaxgan.common import buckets
from jaxgan.common.errors import UserError, file_errors
from jaxgan.common.files import write_json, write_text
from jaxgan.config.keys import MOST_IMAGES
from jaxgan.data.dataset import Dataset
from jaxgan.evaluation import results as results_lib
from jaxgan.evaluation import runner
from jaxgan.evaluation.context import SVM_IMAGES
from jaxgan.evaluation.features import Extractor
from jaxgan.evaluation.results import format_table
from jaxgan.inference import loading
from jaxgan.inference.trained_run import Run
from jaxgan.metrics.extractors import inception
from jaxgan.reporting import sheet_paths
from jaxgan.reporting.html.report import renew_report
from jaxgan.reporting.html.tables import networks_in_words
from jaxgan.reporting.images import neighbours, save_png, titled
from jaxgan.reporting.summary import describe_advice
from jaxgan.training import jax_setup, run_files, run_folder

_SVM_IMAGES = flags.DEFINE_integer(
    "svm_images", SVM_IMAGES, "Training images for svm_accuracy.", lower_bound=100
)
_METRICS = flags.DEFINE_list(
    "metrics",
    [],
    "The only metrics to compute, separated by commas, with those that the same function computes;"
    " the figures are then left as they are. By default all that apply, with figures.",
)
_INCEPTION = cli.define_path(
    "inception", "File of Inception-v3 weights; distances then use its features."
)

parse_flags = functools.partial(
    cli.parse_flags, own=(WORKDIR, MODULES, CHECKPOINT, DATA_DIR, SEED, N)
)


def main(argv: list[str]) -> int:
    """Evaluates as the flags say; returns the exit status."""
    del argv

    def command() -> None:
        workdir, n = cli.required_workdir(WORKDIR.value), 10_000 if N.value is None else N.value
        if not 2 <= n <= MOST_IMAGES:
            raise UserError(f"n={n}: must be from 2 to {MOST_IMAGES:,}")
        with buckets.working_copy(workdir) as folder:
            evaluate(folder, CHECKPOINT.value, SEED.value, n)

    return cli.run_command(
        command, f"{WORKDIR.value}/{run_files.RESULTS} is whole; free some and try again"
    )


def evaluate(workdir: str, checkpoint: str | None, seed: int | None, n: int) -> None:
    """Computes the metrics, writes and prints them, and what has gone wrong in the run.

    Args:
      workdir: the run's folder; no other process may be using it.
      checkpoint: "best", "last" or "raw" networks; None is all.
      seed: one of the run's seeds; None is all.
      n: number of generated images, and the most real ones of each split.

    Raises:
      UserError: if the run has not finished, its data has changed, --metrics names a metric that
        does not apply to the run, or --inception does not name usable weights.
    """
    about = loading.read_about(workdir)
    jax_setup.configure_jax(about["config"]["dtype"])
    with run_folder.keep_out(workdir):
        modules = cli.own_modules()
        step, runs = loading.load_every(workdir, seed, modules)
        results, damaged = _results(workdir, about, step)
        if results is None or results["step"] != step:
            what = f"{workdir} has not finished: its last checkpoint is of step {step}"
            remedy = f"the training command goes on; with --config.steps={step} it ends there"
            raise UserError(what, remedy)
        runs = [run for run in runs if checkpoint in (None, run.checkpoint)]
        if not runs:
            kept = "moving averages" if checkpoint == "raw" else "best networks"
            raise UserError(f"{workdir} keeps no {kept}", "--checkpoint=last")
        config = runs[0].config
        if DATA_DIR.value is not None:
            config.dataset.data_dir = DATA_DIR.value
        dataset = data.load(config)
        run_folder.check_same_data(workdir, about, dataset)
        found = runner.evaluate(
            runs,
            dataset,
            n,
            _SVM_IMAGES.value,
            _extractor(dataset),
            config.progress,
            _METRICS.value,
        )
        results["measures"] = results_lib.merge_results(
            results["measures"], [row.as_json() for row in found.metrics]
        )
        with file_errors(workdir):
            if damaged is not None:
                run_folder.put_results_aside(workdir, damaged)
            # First: what has been measured must not be lost for a picture.
            write_json(os.path.join(workdir, run_files.RESULTS), results)
            _write_figures(workdir, runs, found)
            renew_report(workdir, print, modules=modules)
    _print_results(workdir, about, results["measures"], found)


def _print_results(
    workdir: str,
    about: dict[str, Any],
    measures: list[dict[str, Any]],
    found: runner.EvaluationResult,
) -> None:
    """Prints the table of all measures, and what else was found in which time."""
    print(format_table(measures))
    if found.without_rows:
        left_out = ", ".join(found.without_rows)
        print(f"not measured (too few images, no labels or no convolutions): {left_out}")
    for seed, confusion in found.confusion.items():
        print(f"\nseed {seed}:\n{confusion}")
    for line in describe_advice(about, workdir, measures):
        print(line)
    slowest_first = sorted(found.seconds.items(), key=lambda item: -item[1])
    times = ", ".join(f"{name} {seconds:.0f} s" for name, seconds in slowest_first)
    print(f"\nrun: {workdir}\n{sum(found.seconds.values()):.0f} s: {times}")


def _results(
    workdir: str, about: dict[str, Any], step: int
) -> tuple[dict[str, Any] | None, UserError | None]:
    """The content of `results.json`, or None if the run has not finished. If it is damaged, what is
    measured now begins another, and the error is returned too; the seed that the run had chosen is
    lost with it."""
    try:
        return run_files.read_results(workdir), None
    except run_files.DamagedFile as error:
        if step < about["config"]["steps"]:
            remedy = "the training command, which goes on, measures again"
            raise UserError(error.what, remedy) from None
        empty: dict[str, Any] = {"measures": [], "rollbacks": [], "ended": {}, "scores": {}}
        return {"step": step, **empty, "chosen": None}, error


def _write_figures(workdir: str, runs: list[Run], found: runner.EvaluationResult) -> None:
    """Writes neighbours.png and confusion.txt of each seed."""

    def path(name: str, seed: int, ending: str) -> str:
        suffix = sheet_paths.suffix(sheet_paths.seed_in_names(seed, runs[0].config.seeds))
        return os.path.join(workdir, f"{name}{suffix}{ending}")

    # A seed's best networks come after its last ones and replace them, as in `runner.evaluate`. The
    # step is in the title because the run may be continued later.
    titles = {run.run_seed: networks_in_words(run.checkpoint, run.step) for run in runs}
    for seed, (generated, nearest) in found.neighbours.items():
        sheet = titled(neighbours(generated, nearest), titles[seed])
        save_png(path("neighbours", seed, ".png"), sheet)
    for seed, confusion in found.confusion.items():
        write_text(path("confusion", seed, ".txt"), f"{titles[seed]}\n{confusion}\n")


def _extractor(dataset: Dataset) -> Extractor | None:
    """Inception-v3 if its weights are given, else None; UserError if they cannot be read, or the
    data is not images with 1 or 3 channels."""
    if _INCEPTION.value is None:
        return None
    if dataset.points or dataset.image_shape[2] not in (1, 3):
        shape = f"{dataset.train.images.dtype} {dataset.image_shape}"
        what = f"--inception: {dataset.name}'s examples are {shape}, not grey or colour images"
        raise UserError(what, "leave it out")
    network = inception.load(_INCEPTION.value)
    return Extractor(network.name, network.digest, network.features)


if __name__ == "__main__":
    start_command()
    app.run(main, flags_parser=parse_flags)
