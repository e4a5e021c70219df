"""Records a run while it trains: rows of metrics, sample sheets, results.

Only the primary process evaluates, draws and writes. Every process checks that the losses are
finite, so that all of them stop at the same step, and receives the scores.
"""

import os
import time
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgan.common.errors import DISK_FULL, file_errors
from jaxgan.common.files import write_json
from jaxgan.common.progress import Progress
from jaxgan.data.dataset import Dataset
from jaxgan.evaluation import registry, selection
from jaxgan.evaluation.results import MetricResult
from jaxgan.evaluation.runner import TrainingMetrics
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.inference.trained_run import Run
from jaxgan.reporting import sample_sheets, sheet_paths
from jaxgan.reporting.figures import curves
from jaxgan.reporting.html.report import renew_report
from jaxgan.reporting.images import read_png, save_png
from jaxgan.reporting.summary import describe_rollback
from jaxgan.reporting.writers import MetricsFile, NullWriter, TensorBoard
from jaxgan.training import distributed, run_files
from jaxgan.training.gan import Gan
from jaxgan.training.program import StepMetrics
from jaxgan.training.run_files import read_metrics
from jaxgan.training.state import Best, GanState, networks

# Metrics on the progress line. A conditional GAN also shows accuracies, as its document does.
SHOWN = ("loss/discriminator_real", "loss/discriminator_fake", "loss/generator", "loss/information")
SHOWN_CGAN = (*SHOWN, "accuracy/real", "accuracy/fake")

# A block of consecutive steps: its last step, its length, and the metrics of each group of seeds.
_Steps = tuple[int, int, list[StepMetrics]]


class NotFinite(Exception):
    """No seed is left with finite losses and gradients: the command exits with status 1."""


class RollBack(Exception):
    """Asks to roll back the seeds whose losses were not finite.

    Attributes:
      failed_at: the first step with a loss that was not finite.
      attempts: the number of each seed's next attempt.
      what: for each failed seed a message: what was not finite, and at which step.
    """

    def __init__(self, failed_at: int, attempts: dict[int, int], what: dict[int, str]) -> None:
        super().__init__(*what.values())
        self.failed_at, self.attempts, self.what = failed_at, attempts, what


class RunRecorder:
    """Records a run while it trains: rows of metrics, sample sheets, results.

    Args:
      config, workdir, dataset, gan, seeds: the run's.
      start: the step that training starts or resumes from.
      states: the state of each group of seeds at that step.
      rollback: the rollback to that step, or None.
    """

    def __init__(
        self,
        config: ConfigDict,
        workdir: str,
        dataset: Dataset,
        gan: Gan,
        seeds: tuple[int, ...],
        start: int,
        states: list[GanState],
        rollback: RollBack | None = None,
    ) -> None:
        self.config, self.workdir, self.dataset, self.gan = config, workdir, dataset, gan
        self.seeds, self.functions, self._start = seeds, NetworkFunctions(gan), start
        self.sheets = sample_sheets.sheets(gan, dataset)
        self._attempts = {seed: int(state.attempt) for seed, state in self._by_seed(states)}
        self.rows: Any = NullWriter()
        self.board: Any = NullWriter()
        self.progress: Any = NullWriter()
        if distributed.is_primary():
            path = os.path.join(workdir, run_files.METRICS)
            with file_errors(path, "make it writable"):
                self.rows = MetricsFile(path, start, self._attempts)
            if config.tensorboard:
                self.board = TensorBoard(os.path.join(workdir, "tensorboard"), start, seeds)
            self.progress = Progress(config.steps, start, config.progress)
        self.metrics = TrainingMetrics(self.functions, dataset, config.best_by, self.progress.say)
        self._pending: list[_Steps] = []  # Since the last row that is due.
        self._ready: list[_Steps] = []  # Up to that row.
        self._due: list[tuple[int, float]] = []  # Rows to be written: step and images/s.
        self._evaluations: dict[int, dict[int, dict[str, float]]] = {}
        # Seeds that have stopped, and why: they get no more rows and sheets.
        self._ended: dict[int, str] = {}
        # The first step of theirs without a row.
        self._ended_at: dict[int, int] = {}
        self._end_messages: list[str] = []
        self._clock_step, self._clock = start, time.monotonic()
        if rollback is not None:
            self._note_rollback(rollback, start)
        for seed, state in self._by_seed(states):
            if not bool(state.alive):
                step = int(state.step) + 1
                self._end(seed, step, f"not finite at step {step}")
        self._check_some_left()

    # --- Rows: metrics are fetched one interval late, so that the devices never wait for the host

    def add_metrics(self, step: int, count: int, metrics: list[StepMetrics]) -> None:
        """Stores the metrics of the `count` steps that end at `step` without fetching them."""
        if step - count == self._start:  # The first call compiled the step.
            self.progress.begin(self._start)
        self._pending.append((step, count, metrics))

    @property
    def waiting(self) -> int:
        """The number of calls since `log` whose metrics are still on the devices."""
        return len(self._pending)

    def log(self, steps: Sequence[int]) -> float:
        """Marks rows as due at these steps, none later than the newest stored one, and writes the
        previous rows. Call it before sampling or evaluating: both block until the devices are idle,
        and the next `log` would then time only the host's dispatch, a thousand times too fast.

        Args:
          steps: the steps; none if only the metrics of the previous interval are to be fetched.

        Returns:
          The seconds of a step since the last call.
        """
        self._write(self._ready, self._due)
        # The write waited for the previous interval, so the host is at most one interval ahead.
        now, newest = time.monotonic(), self._pending[-1][0]
        seconds = max(now - self._clock, 1e-9) / (newest - self._clock_step)
        self._clock, self._clock_step = now, newest
        rate = self.gan.config.batch_size / seconds
        self._due = [(step, rate) for step in steps]
        self._ready, self._pending = self._pending, []
        return seconds

    def flush(self) -> None:
        """Writes every due row to the disk, and checks every step so far."""
        self._write(self._ready, self._due)
        self._write(self._pending, [])
        self._ready, self._due, self._pending = [], [], []
        self.rows.sync()
        self.board.flush()

    def _write(self, steps: list[_Steps], due: list[tuple[int, float]]) -> None:
        """Fetches and checks the metrics of `steps`, and writes the rows that are due in them."""
        found: dict[int, list[dict[str, float]]] = {}
        failed: dict[int, tuple[int, str]] = {}
        written = {step for step, _ in due}
        for last, count, metrics in steps:
            groups = [group.by_name(count) for group in metrics]
            all_alive = np.all(np.concatenate([group["alive"] for group in groups]), axis=0)
            for i, step in enumerate(range(last - count + 1, last + 1)):
                # Most steps have no row, and reading all their numbers would take longer than the
                # steps of a small network.
                if all_alive[i] and step not in written:
                    continue
                found[step] = [
                    {name: float(values[seed, i]) for name, values in group.items()}
                    for group in groups
                    for seed in range(len(next(iter(group.values()))))
                ]
                self._check_finite(step, found[step], failed)
        if failed:
            attempts = {seed: self._attempts[seed] + (seed in failed) for seed in self.seeds}
            first = min(step for step, _ in failed.values())
            raise RollBack(first, attempts, {seed: what for seed, (_, what) in failed.items()})
        shown: tuple[int, float] | None = None
        for step, rate in due:
            evaluation = self._evaluations.pop(step, {})
            for i, seed in enumerate(self.seeds):
                if step >= self._ended_at.get(seed, step + 1):
                    continue
                row = {"step": step, "seed": seed, **found[step][i], **evaluation.get(seed, {})}
                row["time/images_per_s"] = round(rate, 2)
                self.rows.write(row)
                self.board.row(row)
            if any(step < self._ended_at.get(seed, step + 1) for seed in self.seeds):
                shown = step, rate
        if shown is not None:
            self._show(shown[0], found[shown[0]], shown[1])
        self._check_some_left()

    def _check_some_left(self) -> None:
        if len(self._ended) == len(self.seeds):
            raise NotFinite("; ".join(self._end_messages))

    def _check_finite(
        self, step: int, by_seed: list[dict[str, float]], failed: dict[int, tuple[int, str]]
    ) -> None:
        """Ends the seeds whose metrics are not finite, or adds them to `failed` for a rollback."""
        for seed, metrics in zip(self.seeds, by_seed, strict=True):
            if not metrics.pop("alive") and seed not in self._ended | failed:
                bad = [name for name, value in metrics.items() if not np.isfinite(value)]
                # Of several updates in a step the metrics are those of the last.
                names = ", ".join(bad) or "an earlier update of the discriminator"
                what = f"{names} not finite at step {step}"
                if self._attempts[seed] < self.config.rollbacks:
                    failed[seed] = step, what
                else:
                    self._end(seed, step, what)

    def _end(self, seed: int, step: int, what: str) -> None:
        # Only the step, not the metrics that failed: a checkpoint stores no more, and results.json
        # must be the same after a restart.
        self._ended[seed] = f"seed {seed}: not finite at step {step}"
        self._ended_at[seed] = step
        self._end_messages.append(f"seed {seed}: {what}")
        self.progress.say(self._end_messages[-1])

    def _note_rollback(self, rollback: RollBack, step: int) -> None:
        """Prints a line and writes a row for each seed that was rolled back to `step`."""
        for seed, what in rollback.what.items():
            attempt = rollback.attempts[seed]
            row = {"step": step, "seed": seed, "attempt": attempt, "rolled_back": what}
            self.progress.say(describe_rollback(row))
            self.rows.write(row)

    def _show(self, step: int, by_seed: list[dict[str, float]], rate: float) -> None:
        parts = [f"{rate * len(self.seeds):.0f} images/s"]
        for name in SHOWN_CGAN if self.config.system == "cgan" else SHOWN:
            if name in by_seed[0]:
                mean = np.nanmean([metrics[name] for metrics in by_seed])
                parts.append(f"{name.removeprefix('loss/')} {mean:.3f}")
        self.progress.show(step, "  ".join(parts), force=step == self.config.steps)

    # --- Sheets

    def sample(self, step: int, states: list[GanState]) -> None:
        """Writes each seed's sheets."""
        if not distributed.is_primary():
            return
        for seed, state in self._by_seed(states):
            if seed in self._ended:
                continue
            for sheet in self.sheets:
                picture = sample_sheets.draw(self.functions, networks(state).generator, sheet)
                name = sheet_paths.file_name(step, self._seed_in_names(seed), sheet.name)
                save_png(os.path.join(self.workdir, sheet_paths.FOLDER, name), picture)
                tag = "/".join(filter(None, ["samples", sheet.name]))
                self.board.image(tag, step, seed, picture)

    def _seed_in_names(self, seed: int) -> int | None:
        return sheet_paths.seed_in_names(seed, len(self.seeds))

    def _write_summary_figures(self) -> None:
        """Writes the curves and strips of the whole run. They are drawn from the files on disk, so
        that a resumed run gets the same."""
        rows = read_metrics(self.rows.path).rows
        if rows:
            self._save(curves(rows, self.config.loss), "curves.png")
        for seed in self.seeds:
            named, steps = self._seed_in_names(seed), self.config.steps
            # Later sheets are left over if an earlier start of the run had more steps.
            files = sheet_paths.sheets_of_seed(self.workdir, named, steps)
            if seed in self._ended or not files:
                continue
            read = {step: read_png(files[step]) for step in sample_sheets.even_steps(list(files))}
            pictures = {step: picture for step, picture in read.items() if picture is not None}
            if pictures:
                picture = sample_sheets.over_time(self.gan, self.sheets[0], pictures)
                self._save(picture, f"strip{sheet_paths.suffix(named)}.png")

    def _save(self, picture: np.ndarray, name: str) -> None:
        """Saves a picture. Only a full disk ends the run; other errors are printed as a line."""
        try:
            save_png(os.path.join(self.workdir, name), picture)
        except OSError as error:
            if error.errno in DISK_FULL:
                raise
            self.progress.say(f"no {name}: {error.strerror}")

    # --- Evaluation

    def evaluate(self, step: int, states: list[GanState]) -> list[np.ndarray]:
        """Evaluates the networks for the row of this step. Every process must call it.

        Returns:
          For each group the scores that choose the best networks, float32 [S], the same in every
          process.
        """
        scores = [np.full(len(state.step), np.nan, np.float32) for state in states]
        with distributed.synchronized():
            if distributed.is_primary():
                rows: dict[int, dict[str, float]] = {}
                for state, of_group in zip(states, scores, strict=True):
                    for i, (seed, one) in enumerate(self._by_seed([state], offset=len(rows))):
                        rows[seed], of_group[i] = self._evaluate_one(seed, step, one)
                self._evaluations[step] = rows
        shared: list[np.ndarray] = distributed.broadcast_from_primary(scores, scores)
        return shared

    def _evaluate_one(
        self, seed: int, step: int, state: GanState
    ) -> tuple[dict[str, float], float]:
        if not bool(state.alive):
            return {}, float("nan")
        about = {"seed": seed, "step": step, "checkpoint": "last"}
        results = self.metrics.at_evaluation(networks(state), about, self.config.eval_images)
        return evaluation_row(results), registry.score(self.config.best_by, results)

    def finish(self, states: list[GanState], bests: list[Best]) -> None:
        """Draws the summary figures, evaluates the last and the best networks, and writes
        `report.html` and `results.json`."""
        if not distributed.is_primary():
            return
        self._write_summary_figures()
        self.progress.say("measuring the last and the best networks")
        networks_of_seeds, scores = [], {}
        pairs = zip(self._by_seed(states), self._by_seed(bests), strict=True)
        for (seed, state), (_, best) in pairs:
            if seed in self._ended:
                continue
            last_and_best = [("last", int(state.step), networks(state))]
            if np.isfinite(best.score):
                last_and_best.append(("best", int(best.step), best.networks))
                scores[seed] = float(best.score)
            for checkpoint, step, nets in last_and_best:
                about: dict[str, Any] = {"seed": seed, "step": step, "checkpoint": checkpoint}
                networks_of_seeds.append((nets, about))
        limit = self.config.results_images
        measures = self.metrics.at_end_of_seeds(networks_of_seeds, limit)
        results = {
            "step": self.config.steps,
            "measures": [m.as_json() for m in measures],
            "rollbacks": read_metrics(self.rows.path).rollbacks,
            "ended": {str(seed): what for seed, what in self._ended.items()},
            "scores": {str(seed): score for seed, score in scores.items()},
            "chosen": selection.choose_seed(measures, scores, self.config.best_by),
        }
        write_json(os.path.join(self.workdir, run_files.RESULTS), results)
        # Not read back from the checkpoint: networks that were passed in could not be.
        seed = (results["chosen"] or networks_of_seeds[0][1])["seed"]
        nets, about = [pair for pair in networks_of_seeds if pair[1]["seed"] == seed][-1]
        of_run = (self.config, self.gan, nets, self.dataset.label_names)
        trained = Run(*of_run, about["step"], about["checkpoint"], about["seed"])
        renew_report(self.workdir, self.progress.say, trained)

    def _by_seed(self, groups: list[Any], offset: int = 0) -> list[tuple[int, Any]]:
        """Each seed with its slice of the groups' trees."""
        found: list[tuple[int, Any]] = []
        for group in groups:
            for i in range(len(jax.tree.leaves(group)[0])):
                one = jax.tree.map(lambda x, i=i: x[i], group)
                found.append((self.seeds[offset + len(found)], one))
        return found

    def close(self) -> None:
        self.progress.close()
        self.rows.close()
        self.board.close()


def evaluation_row(results: Sequence[MetricResult]) -> dict[str, float]:
    """The values of an evaluation under `eval/`; a metric of one code, where several codes have
    results, ends in the code's index."""
    several = len({m.code for m in results} - {None}) > 1
    endings = [f"_{m.code}" if several and m.code is not None else "" for m in results]
    return {f"eval/{m.name}{end}": m.value for m, end in zip(results, endings, strict=True)}
