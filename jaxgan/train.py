"""The loop, read from top to bottom: data, networks, the run's folder, restore, then step, log,
sample, evaluate, save."""

import os
import signal
import time
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

import jaxgan.config as config_lib
from jaxgan import conditions, data, folder, parallel, sheets
from jaxgan.build import build_gan
from jaxgan.checkpoint import Checkpoints
from jaxgan.config import UserError
from jaxgan.data.batches import indices
from jaxgan.data.dataset import Dataset
from jaxgan.images import save_png
from jaxgan.measures import Measures
from jaxgan.metrics.measure import Measure, table
from jaxgan.reading import Instruments
from jaxgan.state import Best, Gan, GanState, first_best, keep_best, networks
from jaxgan.step import Batch
from jaxgan.writers import MetricsFile, Progress, TensorBoard, write_json


class NotFinite(Exception):
    """Every seed's losses or gradients ceased to be finite: exit status 1."""


def train(config: ConfigDict, workdir: str) -> int:
    """Trains a run to its last step, or goes on with it; returns the process's exit status.

    Args:
      config: of the run.
      workdir: its folder.

    Raises:
      UserError: for a config, a dataset or a folder that cannot be used; nothing is written then.
      NotFinite: when the run has no seed left whose numbers are finite.
    """
    # --- The config, the data and the networks: all that can be refused is, before a file is made
    config_lib.validate(config)
    parallel.start(config.dtype)
    folder.inspect(config, workdir)
    done = folder.results(workdir)
    if done is not None and done["step"] >= config.steps:
        _refuse_fewer_steps(config, workdir, done["step"])
        print(_finished(workdir, done))
        return 0
    dataset = data.load(config)
    gan = build_gan(config, dataset.image_shape, conditions.make(config, dataset))
    seeds = tuple(range(config.seed, config.seed + config.seeds))
    programs = _programs(config, gan, seeds, dataset)
    lock = folder.enter(config, workdir, dataset, gan)

    # --- The state: new, or the newest whole checkpoint's
    checkpoints = Checkpoints(os.path.join(workdir, "checkpoints"), config.checkpoints_kept)
    restored = checkpoints.restore(jax.eval_shape(lambda: _whole(*_fresh(programs))))
    if restored is None:
        start, (states, bests) = 0, _fresh(programs)
    else:
        start, (states, bests) = restored[0], _split(restored[1], programs)
        print(f"{workdir}: going on from step {start}", flush=True)
    _refuse_fewer_steps(config, workdir, start)
    run = _Run(config, workdir, dataset, gan, seeds, start)
    run.note_ended(states)

    # --- The loop
    with _Stop() as stop:
        try:
            step, stopping = start, 0
            if step == 0:
                run.sample(0, states)
            while step < config.steps and not stopping:
                count = _steps_to_next_cut(config, step, programs[0].steps_per_call)
                metrics = []
                for i, program in enumerate(programs):
                    places = _places(config, gan, program.seeds, step, count, len(dataset.train))
                    states[i], values = program.run(states[i], places)
                    metrics.append(values)
                step += count
                run.note(step, count, metrics)
                last, stopping = step == config.steps, stop.asked
                if step % config.sample_every == 0 or last:
                    run.sample(step, states)
                if step % config.eval_every == 0 or last:
                    scores = run.evaluate(step, states)
                    for i in range(len(programs)):
                        bests[i] = _keep_best(bests[i], states[i], scores[i])
                if step % config.log_every == 0 or step % config.eval_every == 0 or last:
                    run.log(step)
                if step % config.checkpoint_every == 0 or last or stopping:
                    run.settle()
                    checkpoints.save(step, _whole(states, bests))

            # --- The end
            run.settle()
            checkpoints.wait()
            if step < config.steps:
                run.progress.close()
                print(f"stopped at step {step}, saved; the same command goes on from there")
                return 128 + stopping
            run.finish(states, bests)
        finally:
            run.close()
            checkpoints.close()
            lock.close()
    print(_finished(workdir, folder.results(workdir)))
    return 0


def _refuse_fewer_steps(config: ConfigDict, workdir: str, step: int) -> None:
    if step > config.steps:
        raise UserError(
            f"steps={config.steps}: {workdir} is already at step {step}", "give more steps"
        )


def _finished(workdir: str, results: Any) -> str:
    lines = [table(results["measures"])]
    lines += [f"not finite, left out: {what}" for what in results["ended"].values()]
    sheets = os.path.join(workdir, "samples", f"step_{results['step']:06}*.png")
    return "\n".join([*lines, "", f"run: {workdir}", f"last sheets: {sheets}"])


# --- States: for each group of seeds on the devices, and whole on disk


def _programs(
    config: ConfigDict, gan: Gan, seeds: tuple[int, ...], dataset: Dataset
) -> list[parallel.Program]:
    """One compiled program for each group of seeds."""
    groups = parallel.seed_groups(seeds, jax.default_backend())
    steps_per_call = config.steps_per_call or 16
    if jax.default_backend() == "cpu":
        steps_per_call = 1
    mesh = parallel.make_mesh(len(groups[0]), (gan.batch_size, gan.discriminator_batch_size))
    first = parallel.Program(gan, groups[0], _training_data(gan, dataset), mesh, steps_per_call)
    return [first] + [first.for_seeds(seeds) for seeds in groups[1:]]


def _training_data(gan: Gan, dataset: Dataset) -> Batch:
    """The training split as one batch; without labels where no network is told any."""
    told = isinstance(gan.condition, conditions.Label)
    return Batch(dataset.train.images, dataset.train.labels if told else None)


def _fresh(programs: list[parallel.Program]) -> tuple[list[GanState], list[Best]]:
    states = [program.initialise() for program in programs]
    return states, [first_best(state) for state in states]


def _whole(states: list[GanState], bests: list[Best]) -> dict[str, Any]:
    def join(*parts: Any) -> Any:
        return jnp.concatenate(parts) if len(parts) > 1 else parts[0]

    return {"state": jax.tree.map(join, *states), "best": jax.tree.map(join, *bests)}


def _split(whole: dict[str, Any], programs: list[parallel.Program]) -> tuple[list[Any], list[Any]]:
    states, bests, start = [], [], 0
    for program in programs:
        here = slice(start, start + len(program.seeds))
        states.append(program.place(jax.tree.map(lambda x, s=here: x[s], whole["state"])))
        bests.append(program.place(jax.tree.map(lambda x, s=here: x[s], whole["best"])))
        start = here.stop
    return states, bests


_keep_best = jax.jit(keep_best)


def _places(
    config: ConfigDict, gan: Gan, seeds: tuple[int, ...], step: int, count: int, images: int
) -> np.ndarray:
    """Which real images the next `count` steps use: int32 [S, T, k, B]."""
    shape = (gan.discriminator_steps, gan.discriminator_batch_size)
    return np.stack(
        [
            np.stack(
                [
                    indices(seed, s, images, shape, config.dataset.replacement)
                    for s in range(step, step + count)
                ]
            )
            for seed in seeds
        ]
    )


def _steps_to_next_cut(config: ConfigDict, step: int, most: int) -> int:
    """How many steps one call may run: it never reaches over a step at which something is due."""
    every = (config.log_every, config.sample_every, config.eval_every, config.checkpoint_every)
    return min(most, config.steps - step, *(n - step % n for n in every))


class _Stop:
    """SIGINT or SIGTERM, noted; the loop looks at `asked` (the signal's number) between steps."""

    def __init__(self) -> None:
        self.asked = 0

    def __enter__(self) -> "_Stop":
        self._before = {
            name: signal.signal(name, self._note) for name in (signal.SIGINT, signal.SIGTERM)
        }
        return self

    def _note(self, number: int, frame: Any) -> None:
        if self.asked:  # The second one means it.
            raise KeyboardInterrupt
        self.asked = number

    def __exit__(self, *unused: Any) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)


class _Run:
    """What a run leaves behind while it trains: rows, sheets, measures."""

    def __init__(
        self,
        config: ConfigDict,
        workdir: str,
        dataset: Dataset,
        gan: Gan,
        seeds: tuple[int, ...],
        start: int,
    ) -> None:
        self.config, self.workdir, self.dataset, self.gan = config, workdir, dataset, gan
        self.seeds = seeds
        self.instruments = Instruments(gan)
        self.sheets = sheets.sheets(gan, dataset)
        self.rows = MetricsFile(os.path.join(workdir, "metrics.jsonl"), after=start)
        self.board = None
        if config.tensorboard:
            self.board = TensorBoard(os.path.join(workdir, "tensorboard"), start, seeds)
        self.progress = Progress(config.steps, start, config.progress)
        self.measures = Measures(self.instruments, dataset, config.best_by, self.progress.say)
        self._pending: list[tuple[int, int, list[Any]]] = []
        self._ready: list[tuple[int, int, list[Any]]] = []
        self._due: list[tuple[int, float, dict[int, dict[str, float]]]] = []
        self._evaluations: dict[int, dict[int, dict[str, float]]] = {}
        # The seeds whose numbers ceased to be finite, and how: they leave rows and sheets no more.
        self._ended: dict[int, str] = {}
        self._clock_step, self._clock = start, time.monotonic()

    # --- Metrics: fetched one interval late, so that waiting for them never stalls the devices

    def note(self, step: int, count: int, metrics: list[Any]) -> None:
        """Remembers the metrics, still on the devices, of the `count` steps up to `step`."""
        self._pending.append((step, count, metrics))

    def log(self, step: int) -> None:
        """A row is due at `step`; the one before it is written now."""
        self._write(self._ready, self._due)
        # After the wait for the interval before: in the long run the host is no faster than that.
        now = time.monotonic()
        rate = float(self.gan.batch_size * (step - self._clock_step))
        rate /= max(now - self._clock, 1e-9)
        self._clock, self._clock_step = now, step
        self._due = [(step, rate, self._evaluations.pop(step, {}))]
        self._ready, self._pending = self._pending, []

    def settle(self) -> None:
        """Writes all rows that are due, to the disk, and checks every step so far."""
        self._write(self._ready, self._due)
        self._write(self._pending, [])
        self._ready, self._due, self._pending = [], [], []
        self.rows.sync()

    def _write(
        self, noted: list[tuple[int, int, list[Any]]], due: list[tuple[int, float, dict[int, Any]]]
    ) -> None:
        fetched = jax.device_get([metrics for _, _, metrics in noted])
        found: dict[int, list[dict[str, float]]] = {}
        for (step, count, _), groups in zip(noted, fetched, strict=True):
            for i in range(count):
                here = [
                    {name: float(values[seed, i]) for name, values in sorted(group.items())}
                    for group in groups
                    for seed in range(len(next(iter(group.values()))))
                ]
                found[step - count + 1 + i] = here
                self._check_finite(step - count + 1 + i, here)
        for step, rate, evaluation in due:
            for i, seed in enumerate(self.seeds):
                if seed in self._ended:
                    continue
                row = {"step": step, "seed": seed, **found[step][i], **evaluation.get(seed, {})}
                row["time/images_per_s"] = round(rate, 2)
                self.rows.write(row)
                if self.board is not None:
                    self.board.row(row)
            self._show(step, found[step], rate)

    def _check_finite(self, step: int, here: list[dict[str, float]]) -> None:
        for seed, metrics in zip(self.seeds, here, strict=True):
            if not metrics.pop("alive") and seed not in self._ended:
                bad = [name for name, value in metrics.items() if not np.isfinite(value)]
                self._end(seed, f"seed {seed}: {', '.join(bad)} not finite at step {step}")

    def note_ended(self, states: list[GanState]) -> None:
        """Takes over from a checkpoint which seeds had ended before it."""
        for seed, state in self._by_seed(states):
            if not bool(state.alive):
                self._end(seed, f"seed {seed}: not finite at step {int(state.step) + 1}")

    def _end(self, seed: int, what: str) -> None:
        self._ended[seed] = what
        self.progress.say(what)
        if len(self._ended) == len(self.seeds):
            raise NotFinite("; ".join(self._ended.values()))

    def _show(self, step: int, here: list[dict[str, float]], rate: float) -> None:
        names = ("discriminator_real", "discriminator_fake", "generator", "information")
        values = [
            f"{name} {np.nanmean([m[f'loss/{name}'] for m in here]):.3f}"
            for name in names
            if f"loss/{name}" in here[0]
        ]
        images = f"{rate * len(self.seeds):.0f} images/s"
        self.progress.show(step, f"{images}  " + "  ".join(values), force=step == self.config.steps)

    # --- Sheets

    def sample(self, step: int, states: list[GanState]) -> None:
        """Writes each seed's sheets."""
        for seed, state in self._by_seed(states):
            if seed in self._ended:
                continue
            for sheet in self.sheets:
                picture = sheets.draw(self.instruments, networks(state).generator, sheet)
                parts = [f"step_{step:06}", sheet.name]
                parts += [f"seed_{seed}"] if len(self.seeds) > 1 else []
                name = "_".join(filter(None, parts))
                save_png(os.path.join(self.workdir, "samples", name + ".png"), picture)
                if self.board is not None:
                    self.board.image(
                        "/".join(filter(None, ["samples", sheet.name])), step, seed, picture
                    )

    # --- Measures

    def evaluate(self, step: int, states: list[GanState]) -> list[jax.Array]:
        """Measures the networks; the figures go into the row of this step.

        Returns:
          The score that picks the best, for each group, float32 [S].
        """
        rows: dict[int, dict[str, float]] = {}
        scores = []
        for state in states:
            of_group = []
            for seed, one in self._by_seed([state], offset=len(rows)):
                rows[seed], score = self._evaluate_one(seed, step, one)
                of_group.append(score)
            scores.append(jnp.asarray(of_group, jnp.float32))
        self._evaluations[step] = rows
        return scores

    def _evaluate_one(
        self, seed: int, step: int, state: GanState
    ) -> tuple[dict[str, float], float]:
        if not bool(state.alive):
            return {}, float("nan")
        about = {"seed": seed, "step": step, "checkpoint": "last"}
        measures = self.measures.at_step(networks(state), about, self.config.eval_images)
        several = len({m.code for m in measures}) > 1
        row = {f"eval/{m.name}" + (f"_{m.code}" if several else ""): m.value for m in measures}
        return row, self.measures.score(measures)

    def finish(self, states: list[GanState], bests: list[Best]) -> None:
        """Writes `results.json`: every measure of the last and of the best networks."""
        self.progress.say("measuring the last and the best networks")
        measures: list[Measure] = []
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
                measures += self.measures.at_end(nets, about, self.config.results_images)
        results = {
            "step": self.config.steps,
            "measures": [m.as_json() for m in measures],
            "ended": {str(seed): what for seed, what in self._ended.items()},
        }
        write_json(os.path.join(self.workdir, folder.RESULTS), results)

    def _by_seed(self, groups: list[Any], offset: int = 0) -> list[tuple[int, Any]]:
        """Each seed with its part of the groups' trees."""
        found: list[tuple[int, Any]] = []
        for group in groups:
            for i in range(len(jax.tree.leaves(group)[0])):
                one = jax.tree.map(lambda x, i=i: x[i], group)
                found.append((self.seeds[offset + len(found)], one))
        return found

    def close(self) -> None:
        self.progress.close()
        self.rows.close()
        if self.board is not None:
            self.board.close()
