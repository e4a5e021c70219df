"""Records a run while it trains: rows, sheets, metrics.

Only the primary process measures, draws and writes. The others check with it that losses are
finite, so that all of them stop at the same step, and receive the scores.
"""

import errno
import os
import time
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from jaxgan.common.files import write_json
from jaxgan.common.progress import Progress
from jaxgan.data.dataset import Dataset
from jaxgan.evaluation import registry
from jaxgan.evaluation.results import MetricResult
from jaxgan.evaluation.runner import TrainingMetrics
from jaxgan.inference.networks import NetworkFunctions
from jaxgan.reporting import sample_sheets, sheet_paths
from jaxgan.reporting.figures import curves
from jaxgan.reporting.html.report import renew_report
from jaxgan.reporting.images import read_png, save_png
from jaxgan.reporting.summary import describe_rollback
from jaxgan.reporting.writers import MetricsFile, NullWriter, TensorBoard, read_metrics
from jaxgan.training import distributed, run_folder
from jaxgan.training.gan import Gan
from jaxgan.training.state import Best, GanState, networks

# Metrics of the progress line.
SHOWN = ("loss/discriminator_real", "loss/discriminator_fake", "loss/generator", "loss/information")


class NotFinite(Exception):
    """No seed is left whose losses and gradients are finite: exit status 1."""


class RollBack(Exception):
    """Seeds whose losses were not finite are to be rolled back.

    Attributes:
      failed_at: the first step that was not finite.
      attempts: of each seed from now on.
      what: for each failed seed, what was not finite, and when.
    """

    def __init__(self, failed_at: int, attempts: dict[int, int], what: dict[int, str]) -> None:
        super().__init__(*what.values())
        self.failed_at, self.attempts, self.what = failed_at, attempts, what


class RunRecorder:
    """Records a run while it trains: rows, sheets, metrics.

    Args:
      config, workdir, dataset, gan, seeds: of the run.
      start: the step that training resumes from.
      states: at that step.
      rollback: that led to that step, or None.
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
        self.seeds = seeds
        self.instruments = NetworkFunctions(gan)
        self.sheets = sample_sheets.sheets(gan, dataset)
        self._attempts = {seed: int(state.attempt) for seed, state in self._by_seed(states)}
        self.rows: Any = NullWriter()
        self.board: Any = NullWriter()
        self.progress: Any = NullWriter()
        if distributed.is_primary():
            rows = os.path.join(workdir, "metrics.jsonl")
            self.rows = MetricsFile(rows, start, self._attempts)
            if config.tensorboard:
                self.board = TensorBoard(os.path.join(workdir, "tensorboard"), start, seeds)
            self.progress = Progress(config.steps, start, config.progress)
        self.metrics = TrainingMetrics(self.instruments, dataset, config.best_by, self.progress.say)
        self._pending: list[tuple[int, int, list[Any]]] = []
        self._ready: list[tuple[int, int, list[Any]]] = []
        self._due: list[tuple[int, float]] = []
        self._evaluations: dict[int, dict[int, dict[str, float]]] = {}
        # Seeds whose losses were not finite, and why: they have no more rows and sheets.
        self._ended: dict[int, str] = {}
        self._last_words: list[str] = []
        self._clock_step, self._clock = start, time.monotonic()
        if rollback is not None:
            self._note_rollback(rollback, start)
        self._note_ended(states)

    # --- Metrics: fetched one interval late, so that waiting for them never stalls the devices

    def add_metrics(self, step: int, count: int, metrics: list[Any]) -> None:
        """Keeps the metrics of the `count` steps up to `step`, on the devices."""
        self._pending.append((step, count, metrics))

    def log(self, step: int) -> None:
        """Marks a row as due at `step`, and writes the row before it. Call it before anything is
        drawn or measured at `step`, which waits for the devices: the next interval would otherwise
        only time how fast the host dispatches (a thousand times too fast)."""
        self._write(self._ready, self._due)
        # After waiting for the previous interval: in the long run the host is no faster.
        now = time.monotonic()
        rate = float(self.gan.config.batch_size * (step - self._clock_step))
        rate /= max(now - self._clock, 1e-9)
        self._clock, self._clock_step = now, step
        self._due, self._ready, self._pending = [(step, rate)], self._pending, []

    def flush(self) -> None:
        """Writes every row that is due to the disk, and checks every step so far."""
        self._write(self._ready, self._due)
        self._write(self._pending, [])
        self._ready, self._due, self._pending = [], [], []
        self.rows.sync()
        self.board.flush()

    def _write(self, noted: list[tuple[int, int, list[Any]]], due: list[tuple[int, float]]) -> None:
        fetched = jax.device_get([metrics for _, _, metrics in noted])
        found: dict[int, list[dict[str, float]]] = {}
        failed: dict[int, tuple[int, str]] = {}
        for (step, count, _), groups in zip(noted, fetched, strict=True):
            for i in range(count):
                here = [
                    {name: float(values[seed, i]) for name, values in sorted(group.items())}
                    for group in groups
                    for seed in range(len(next(iter(group.values()))))
                ]
                found[step - count + 1 + i] = here
                self._check_finite(step - count + 1 + i, here, failed)
        if failed:
            again = {seed: self._attempts[seed] + (seed in failed) for seed in self.seeds}
            first = min(step for step, _ in failed.values())
            raise RollBack(first, again, {seed: what for seed, (_, what) in failed.items()})
        for step, rate in due:
            evaluation = self._evaluations.pop(step, {})
            for i, seed in enumerate(self.seeds):
                if seed in self._ended:
                    continue
                row = {"step": step, "seed": seed, **found[step][i], **evaluation.get(seed, {})}
                row["time/images_per_s"] = round(rate, 2)
                self.rows.write(row)
                self.board.row(row)
            self._show(step, found[step], rate)

    def _check_finite(
        self, step: int, here: list[dict[str, float]], failed: dict[int, tuple[int, str]]
    ) -> None:
        """Ends the seeds whose metrics are not finite, or adds them to `failed` for a rollback."""
        for seed, metrics in zip(self.seeds, here, strict=True):
            if not metrics.pop("alive") and seed not in self._ended | failed:
                bad = [name for name, value in metrics.items() if not np.isfinite(value)]
                what = f"{', '.join(bad)} not finite at step {step}"
                if self._attempts[seed] < self.config.rollbacks:
                    failed[seed] = step, what
                else:
                    self._end(seed, step, what)

    def _note_ended(self, states: list[GanState]) -> None:
        """Marks the seeds that a checkpoint says have ended."""
        for seed, state in self._by_seed(states):
            if not bool(state.alive):
                step = int(state.step) + 1
                self._end(seed, step, f"not finite at step {step}")

    def _end(self, seed: int, step: int, what: str) -> None:
        # results.json has only what a checkpoint knows, so that it is the same after a restart.
        self._ended[seed] = f"seed {seed}: not finite at step {step}"
        self._last_words.append(f"seed {seed}: {what}")
        self.progress.say(self._last_words[-1])
        if len(self._ended) == len(self.seeds):
            raise NotFinite("; ".join(self._last_words))

    def _note_rollback(self, rollback: RollBack, step: int) -> None:
        """Writes a line and a row for each seed that was rolled back to `step`."""
        for seed, what in rollback.what.items():
            attempt = rollback.attempts[seed]
            row = {"step": step, "seed": seed, "attempt": attempt, "rolled_back": what}
            self.progress.say(describe_rollback(row))
            self.rows.write(row)

    def _show(self, step: int, here: list[dict[str, float]], rate: float) -> None:
        # The accuracy is what the conditional GAN's document prints.
        of_cgan = ("accuracy/real", "accuracy/fake") if self.config.system == "cgan" else ()
        values = [
            f"{name.removeprefix('loss/')} {np.nanmean([m[name] for m in here]):.3f}"
            for name in SHOWN + of_cgan
            if name in here[0]
        ]
        images = f"{rate * len(self.seeds):.0f} images/s"
        self.progress.show(step, f"{images}  " + "  ".join(values), force=step == self.config.steps)

    # --- Sheets

    def sample(self, step: int, states: list[GanState]) -> None:
        """Writes each seed's sheets."""
        if not distributed.is_primary():
            return
        for seed, state in self._by_seed(states):
            if seed in self._ended:
                continue
            for sheet in self.sheets:
                picture = sample_sheets.draw(self.instruments, networks(state).generator, sheet)
                name = sheet_paths.file_name(step, self._named(seed), sheet.name)
                save_png(os.path.join(self.workdir, sheet_paths.FOLDER, name), picture)
                self.board.image(
                    "/".join(filter(None, ["samples", sheet.name])), step, seed, picture
                )

    def _named(self, seed: int) -> int | None:
        return sheet_paths.seed_in_names(seed, len(self.seeds))

    def _write_summary_figures(self) -> None:
        """Draws the losses and the sheets of the whole run from the files on disk, so that a
        resumed run shows the same."""
        rows = read_metrics(self.rows.path).rows
        if rows:
            self._save(curves(rows, self.config.loss), "curves.png")
        for seed in self.seeds:
            # A run that was started for more steps and stopped may have left later sheets.
            files = sheet_paths.sheets_of_seed(self.workdir, self._named(seed), self.config.steps)
            if seed in self._ended or not files:
                continue
            read = {step: _sheet(files[step]) for step in sample_sheets.even_steps(list(files))}
            pictures = {step: picture for step, picture in read.items() if picture is not None}
            if pictures:
                picture = sample_sheets.over_time(self.gan, self.sheets[0], pictures)
                self._save(picture, f"strip{sheet_paths.suffix(self._named(seed))}.png")

    def _save(self, picture: np.ndarray, name: str) -> None:
        """Saves a picture. Only a full disk ends the run; other errors are a line."""
        try:
            save_png(os.path.join(self.workdir, name), picture)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
            self.progress.say(f"no {name}: {error.strerror}")

    # --- Measures

    def evaluate(self, step: int, states: list[GanState]) -> list[np.ndarray]:
        """Measures the networks for the row of this step. Every process must call it.

        Returns:
          The score that picks the best, for each group, float32 [S], the same in every process.
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
        several = len({m.code for m in results}) > 1
        row = {f"eval/{m.name}" + (f"_{m.code}" if several else ""): m.value for m in results}
        return row, registry.score(self.config.best_by, results)

    def finish(self, states: list[GanState], bests: list[Best]) -> None:
        """Draws the run's figures and writes `report.html` and, last, `results.json`: the metrics
        of the last and of the best networks."""
        if not distributed.is_primary():
            return
        self._write_summary_figures()
        self.progress.say("measuring the last and the best networks")
        measures: list[MetricResult] = []
        for (seed, state), (_, best) in zip(
            self._by_seed(states), self._by_seed(bests), strict=True
        ):
            if seed in self._ended:
                continue
            found = [("last", int(state.step), networks(state))]
            if np.isfinite(best.score):
                found.append(("best", int(best.step), best.networks))
            for checkpoint, step, nets in found:
                about = {"seed": seed, "step": step, "checkpoint": checkpoint}
                measures += self.metrics.at_end(nets, about, self.config.results_images)
        results = {
            "step": self.config.steps,
            "measures": [m.as_json() for m in measures],
            "rollbacks": read_metrics(self.rows.path).rollbacks,
            "ended": {str(seed): what for seed, what in self._ended.items()},
        }
        # Before results.json, which marks the run as finished.
        renew_report(self.workdir, results, self.progress.say)
        write_json(os.path.join(self.workdir, run_folder.RESULTS), results)

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


def _sheet(path: str) -> np.ndarray | None:
    """The sheet in the file, or None if it cannot be read."""
    try:
        return read_png(path)
    except (OSError, SyntaxError, ValueError):  # A SyntaxError is Pillow's, for a wrong byte.
        return None
