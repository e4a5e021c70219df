"""`python -m jaxgan.evaluate --workdir=DIR [--checkpoint=best|last] [--seed=…] [--n=10000]`

Measures a trained run: every measure that suits it, for each of its seeds, of the last and of the
best networks. Prints the table and adds the measures to the run's results.json, where one of the
same thing is replaced; beside it lie neighbours.png, generated images with their nearest training
images, confusion.txt, for a run conditioned on labels, and report.html, made anew. Exit status: 0;
1 the disk is full; 2 a mistake in what was asked for.
"""

import errno
import functools
import os

from absl import app, flags

from jaxgan import cli, data
from jaxgan.cli import CHECKPOINT, DATA_DIR, SEED, WORKDIR, N, complain, end_at_signals
from jaxgan.common.errors import UserError
from jaxgan.common.files import write_json, write_text
from jaxgan.data.dataset import Dataset
from jaxgan.evaluation import results as results_lib
from jaxgan.evaluation import runner
from jaxgan.evaluation.context import SVM_IMAGES
from jaxgan.evaluation.features import Extractor
from jaxgan.evaluation.results import format_table
from jaxgan.inference import trained_run
from jaxgan.metrics.extractors import inception
from jaxgan.reporting import sheet_paths
from jaxgan.reporting.html.report import renew_report
from jaxgan.reporting.html.tables import networks_in_words
from jaxgan.reporting.images import neighbours, save_png, titled
from jaxgan.training import jax_setup, run_folder

_SVM_IMAGES = flags.DEFINE_integer(
    "svm_images", SVM_IMAGES, "Training images of svm_accuracy.", lower_bound=100
)
_INCEPTION = flags.DEFINE_string(
    "inception", None, "A file of Inception-v3's weights: the distances are then on its features."
)

parse_flags = functools.partial(cli.parse_flags, own=(CHECKPOINT, DATA_DIR, SEED, N))


def main(argv: list[str]) -> int:
    """Evaluates what the flags ask for; returns the exit status."""
    del argv
    workdir = WORKDIR.value
    try:
        if not workdir:
            raise UserError("--workdir is missing", "it names a run's folder, under runs/")
        n = 10_000 if N.value is None else N.value
        if not 2 <= n <= trained_run.MOST:
            raise UserError(f"n={n}: must be from 2 to {trained_run.MOST:,}")
        evaluate(workdir, CHECKPOINT.value, SEED.value, n)
    except UserError as error:
        return complain(error, 2)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return complain(f"{workdir}: {error.strerror}; results.json is as it was", 1)
    return 0


def evaluate(workdir: str, checkpoint: str | None, seed: int | None, n: int) -> None:
    """Measures, writes, prints.

    Args:
      workdir: the run's folder; no other process may be at work in it.
      checkpoint: "best" or "last" networks; None is both.
      seed: of the run's; None is all.
      n: generated images, and at most as many of each split.

    Raises:
      UserError: if the run has not finished, its data is not what it was trained on, or what
        --inception names are no weights.
    """
    about = trained_run.read_about(workdir)
    jax_setup.configure_jax(about["config"]["dtype"])
    with run_folder.keep_out(workdir):
        step, runs = trained_run.load_every(workdir, seed)
        results = run_folder.results(workdir)
        if results is None or results["step"] != step:
            raise UserError(
                f"{workdir} has not finished: its last checkpoint is of step {step}",
                f"the training command goes on; with --config.steps={step} it ends there",
            )
        runs = [run for run in runs if checkpoint in (None, run.checkpoint)]
        if not runs:
            raise UserError(f"{workdir} keeps no best networks", "--checkpoint=last")
        config = runs[0].config
        if DATA_DIR.value is not None:
            config.dataset.data_dir = DATA_DIR.value
        dataset = data.load(config)
        run_folder.check_same_data(workdir, about, dataset)
        found = runner.evaluate(
            runs, dataset, n, _SVM_IMAGES.value, _extractor(dataset), config.progress
        )
        results["measures"] = results_lib.merge_results(
            results["measures"], [row.as_json() for row in found.metrics]
        )

        def named(what: str, one: int) -> str:
            seed = sheet_paths.seed_in_names(one, config.seeds)
            return os.path.join(workdir, f"{what}{sheet_paths.suffix(seed)}")

        # The networks that are shown of each seed, as in `evaluation.evaluate`: the run may go on.
        of = {run.run_seed: networks_in_words(run.checkpoint, run.step) for run in runs}
        for one, (generated, nearest) in found.neighbours.items():
            sheet = titled(neighbours(generated, nearest), of[one])
            save_png(f"{named('neighbours', one)}.png", sheet)
        for one, confusion in found.confusion.items():
            write_text(f"{named('confusion', one)}.txt", f"{of[one]}\n{confusion}\n")
        renew_report(workdir, results, print)
        write_json(os.path.join(workdir, run_folder.RESULTS), results)
    print(format_table(results["measures"]))
    for one, confusion in found.confusion.items():
        print(f"\nseed {one}:\n{confusion}")
    longest = sorted(found.seconds.items(), key=lambda item: -item[1])
    shares = ", ".join(f"{name} {taken:.0f} s" for name, taken in longest)
    print(f"\nrun: {workdir}\n{sum(found.seconds.values()):.0f} s: {shares}")


def _extractor(dataset: Dataset) -> Extractor | None:
    """Inception-v3, where its weights are given.

    Raises:
      UserError: if they cannot be read, or it cannot read the data.
    """
    if _INCEPTION.value is None:
        return None
    if dataset.points or dataset.image_shape[2] not in (1, 3):
        raise UserError(
            f"--inception: {dataset.name}'s examples are {dataset.train.images.dtype}"
            f" {dataset.image_shape}, no grey or coloured images",
            "leave it away",
        )
    network = inception.load(_INCEPTION.value)
    return Extractor(network.name, network.digest, network.features)


if __name__ == "__main__":
    end_at_signals()
    app.run(main, flags_parser=parse_flags)
