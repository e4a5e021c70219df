"""The loop, read from top to bottom: data, networks, the run's folder, restore, then step, log,
sample, evaluate, save."""

import contextlib
import dataclasses
import os
import signal
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

import jaxgan.config as config_lib
from jaxgan import conditions, config_checks, data, folder, hosts, measures, parallel
from jaxgan.build import Modules, build_gan
from jaxgan.checkpoint import Checkpoints
from jaxgan.config import UserError
from jaxgan.data.batches import Batch
from jaxgan.data.dataset import Dataset
from jaxgan.data.feed import Feed, Places
from jaxgan.data.streaming import Streamed
from jaxgan.metrics.measure import table
from jaxgan.page import page
from jaxgan.record import Record, RollBack, rollback_in_words
from jaxgan.state import Best, Gan, GanState, first_best, keep_best


def train(
    config: ConfigDict,
    workdir: str,
    dataset: Dataset | None = None,
    modules: Modules | None = None,
) -> int:
    """Trains a run to its last step, or goes on with it; returns the process's exit status.

    Args:
      config: of the run.
      workdir: its folder.
      dataset: of one's own; None is the one that the config names.
      modules: networks of one's own; None is those that the config names.

    Raises:
      UserError: for a config, a dataset or a folder that cannot be used; nothing is written then.
      NotFinite: when the run has no seed left whose numbers are finite.
      OSError: with errno ENOSPC or EDQUOT where the disk is full. Checkpoints stay whole; called
        again, the run goes on.
    """
    # --- The config, the data and the networks: all that can be refused is, before a file is made
    parallel.start(config.get("dtype", ""))
    first = hosts.is_first()  # It alone looks into the folder and writes.
    with hosts.together():
        config_checks.validate(config)
        finished = first and _is_finished(config, workdir, dataset)
    if hosts.highest(finished):
        if first:
            print(_finished(config, workdir))
        return 0
    with hosts.together():
        if dataset is not None and config.dataset.near_duplicates != "keep":
            raise UserError(
                f"dataset.near_duplicates={config.dataset.near_duplicates}: the dataset is given",
                "data.near_duplicates.without_near_duplicates(split) leaves them out",
            )
        dataset = data.load(config) if dataset is None else dataset
        measures.refuse(config.best_by, dataset)
        condition = conditions.make(config, dataset.label_names, dataset.classes, dataset.told_size)
        gan = build_gan(config, dataset.image_shape, condition, modules)
    _refuse_differing(config, dataset)
    seeds = tuple(range(config.seed, config.seed + config.seeds))
    programs = _programs(config, gan, seeds, dataset)
    with hosts.together():
        lock = folder.enter(config, workdir, dataset, gan) if first else contextlib.nullcontext()
    checkpoints = Checkpoints(
        os.path.join(workdir, "checkpoints"),
        config.checkpoints_kept,
        # SIGTERM's own checkpoint does not push out the one that a seed would be rolled back to.
        regular=config.checkpoint_every if config.rollbacks else 0,
    )
    stop, back = _Stop(), None
    with lock, contextlib.closing(checkpoints):
        while True:
            try:
                return _go_on(config, workdir, dataset, gan, programs, checkpoints, stop, back)
            except RollBack as failed:  # In all processes alike.
                # Without the traceback, which would hold the states of the failed pass.
                back = failed.with_traceback(None)


def _go_on(
    config: ConfigDict,
    workdir: str,
    dataset: Dataset,
    gan: Gan,
    programs: list[parallel.Program],
    checkpoints: Checkpoints,
    stop: "_Stop",
    back: RollBack | None,
) -> int:
    """From the newest checkpoint, or the one that `back` leads to, to the end; the exit status."""
    first = hosts.is_first()
    seeds = tuple(seed for program in programs for seed in program.seeds)

    # --- The state: new, or that of the newest whole checkpoint, which the first process tells
    like = jax.eval_shape(lambda: _whole(*_fresh(programs)))
    most, restored = None, None
    with hosts.together():
        if first:
            checkpoints.wait()
            most = None if back is None else _step_to_go_back_to(config, checkpoints, back)
            restored = checkpoints.restore(like, most)
    start = hosts.highest(0 if restored is None else restored[0])
    # Where the step to go back to was damaged, the steps up to it are done again as they were.
    again = back if hosts.highest(start == most) else None
    if start == 0:
        states, bests = _fresh(programs)
    else:
        states, bests = _split(hosts.from_first(restored and restored[1], like), programs)
    if again is not None:
        states = _with_attempts(states, programs, again.attempts)
    _refuse_fewer_steps(config, workdir, start)
    if start > 0 and again is None:
        hosts.say(f"{workdir}: going on from step {start}")
    with hosts.together():
        record = Record(
            config, workdir, dataset, gan, seeds, start, _local(programs, states), again
        )
    feeds = _feeds(config, gan, programs, dataset, start)

    # --- The loop
    try:
        with stop:
            step, stopping = start, hosts.highest(stop.asked)
            if step == 0:
                record.sample(0, _local(programs, states))
            while step < config.steps and not stopping:
                count = _steps_to_next_cut(config, step, programs[0].steps_per_call)
                metrics = []
                for i, program in enumerate(programs):
                    states[i], values = program.run(states[i], feeds[i].next(count))
                    metrics.append(values)
                step += count
                record.note(step, count, metrics)
                last = step == config.steps
                # Asking the others is a wait, so several processes do it at the log's steps only.
                if hosts.alone() or step % config.log_every == 0 or last:
                    stopping = hosts.highest(stop.asked)
                if step % config.log_every == 0 or step % config.eval_every == 0 or last:
                    record.log(step)
                if step % config.sample_every == 0 or last:
                    record.sample(step, _local(programs, states))
                if step % config.eval_every == 0 or last:
                    scores = record.evaluate(step, _local(programs, states))
                    for i in range(len(programs)):
                        bests[i] = _keep_best(bests[i], states[i], scores[i])
                if step % config.checkpoint_every == 0 or last or stopping:
                    record.settle()
                    whole = _whole(_local(programs, states), _local(programs, bests))
                    if first:
                        checkpoints.save(step, whole)

            record.settle()
            checkpoints.wait()
            stopping = hosts.highest(stop.asked)

        # --- The end: all is saved, so that a signal may end what is left at once
        record.progress.close()
        if stopping:
            hosts.say(f"stopped at step {step}, saved; the same command goes on from there")
            return 128 + stopping
        states, bests = _local(programs, states), _local(programs, bests)
        with hosts.together():
            record.finish(states, bests)
    finally:
        for feed in feeds:
            feed.close()
        record.close()
    if first:
        print(_finished(config, workdir))
    return 0


def _is_finished(config: ConfigDict, workdir: str, dataset: Dataset | None) -> bool:
    """Whether the run in the folder is this one, and at its end; UserError if it is another."""
    saved, done = folder.inspect(config, workdir), folder.results(workdir)
    if saved is None or done is None or done["step"] < config.steps:
        return False
    _refuse_fewer_steps(config, workdir, done["step"])
    moved = any(config_lib.get(config, path) != saved["config"][path] for path in config_lib.PLACES)
    if moved or dataset is not None:  # Else not read, so that the table is there at once.
        now = data.load(config) if dataset is None else dataset
        _refuse_other_data(workdir, saved, now)
    return True


def _refuse_differing(config: ConfigDict, dataset: Dataset) -> None:
    """Raises UserError in every process if they were started for different runs."""
    where = config_lib.PLACES
    told = {path: value for path, value in config_lib.leaves(config) if path not in where}
    hosts.refuse_differing("the config", str(sorted(told.items())))
    read = f"{dataset.digest()} {len(dataset.train)}"
    hosts.refuse_differing(f"the data of {dataset.name}", read)


def _refuse_fewer_steps(config: ConfigDict, workdir: str, step: int) -> None:
    if step > config.steps:
        raise UserError(
            f"steps={config.steps}: {workdir} is already at step {step}", "give more steps"
        )


def _refuse_other_data(workdir: str, saved: dict[str, Any], dataset: Dataset) -> None:
    if saved["dataset"]["sha256"] != dataset.digest():
        raise UserError(
            f"{workdir} is finished, and was trained on other data than {dataset.name} has now",
            folder.ANOTHER,
        )


def _finished(config: ConfigDict, workdir: str) -> str:
    saved, results = folder.inspect(config, workdir), folder.results(workdir)
    assert saved is not None
    assert results is not None
    trained_on = saved["dataset"]
    lines = [table(results["measures"])]
    # Runs of older versions have no list of them.
    lines += [rollback_in_words(row) for row in results.get("rollbacks", [])]
    lines += [f"not finite, left out: {what}" for what in results["ended"].values()]
    sheets = os.path.join(workdir, "samples", f"step_{results['step']:06}*.png")
    lines += [
        "",
        f"data: {trained_on['name']}, {trained_on['train']:,} training images"
        f" (sha256 {trained_on['sha256']})",
        f"run: {workdir}",
        f"last sheets: {sheets}",
    ]
    report = os.path.join(workdir, page.NAME)
    if os.path.exists(report):  # Runs of older versions have none.
        lines.append(f"report: {report}")
    return "\n".join(lines)


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


def _training_data(gan: Gan, dataset: Dataset) -> Batch | None:
    """The training split as one batch, without labels where no network is told any; None where it
    is streamed, or each host is to read its part only."""
    if isinstance(dataset.train.images, Streamed) or not hosts.alone():
        return None
    training = dataset.train
    labels = training.labels if isinstance(gan.condition, conditions.Label) else None
    return Batch(training.images, labels, training.told)


def _fresh(programs: list[parallel.Program]) -> tuple[list[GanState], list[Best]]:
    states = [program.initialise() for program in programs]
    return states, [first_best(state) for state in states]


def _local(programs: list[parallel.Program], groups: list[Any]) -> list[Any]:
    """Each group's tree, whole, on this process's first device; every process must call it."""
    return [program.local(tree) for program, tree in zip(programs, groups, strict=True)]


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


def _step_to_go_back_to(config: ConfigDict, checkpoints: Checkpoints, back: RollBack) -> int:
    """The last step before the failure at which a checkpoint is due, whatever else was saved (at a
    signal), so that a run that was stopped on the way ends with the same bits."""
    due = (back.failed_at - 1) // config.checkpoint_every * config.checkpoint_every
    saved = checkpoints.steps()
    # checkpoint_every may have changed on the way, and nothing that old be left.
    return saved[0] if saved and saved[-1] > due else due


def _with_attempts(
    states: list[GanState], programs: list[parallel.Program], attempts: dict[int, int]
) -> list[GanState]:
    """The states with as many attempts as each seed has begun."""
    return [
        state.replace(
            attempt=program.place(np.array([attempts[s] for s in program.seeds], np.int32))
        )
        for program, state in zip(programs, states, strict=True)
    ]


_keep_best = jax.jit(keep_best)


def _feeds(
    config: ConfigDict, gan: Gan, programs: list[parallel.Program], dataset: Dataset, start: int
) -> list[Feed]:
    """The real examples of each group of seeds, from step `start` on."""
    shape = (gan.discriminator_steps, gan.discriminator_batch_size)
    training = dataset.train
    if not isinstance(gan.condition, conditions.Label):
        training = dataclasses.replace(training, labels=None)
    feeds = []
    for program in programs:
        seeds, rows = program.part
        places = Places(
            program.seeds[seeds], len(training), shape, config.dataset.replacement, rows
        )
        feeds.append(
            Feed(training, places, start, config.steps, config.dataset.workers, program.resident)
        )
    return feeds


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
            raise KeyboardInterrupt(number)
        self.asked = number

    def __exit__(self, *unused: Any) -> None:
        for name, handler in self._before.items():
            signal.signal(name, handler)
