"""The loop, read from top to bottom: data, networks, the run's folder, restore, then step, log,
sample, evaluate, save."""

import contextlib
import os
from typing import Any

import jax
from ml_collections import ConfigDict

import jaxgan.config as config_lib
from jaxgan import data
from jaxgan.common.errors import UserError
from jaxgan.config import keys, validation
from jaxgan.data.dataset import Dataset
from jaxgan.evaluation import registry
from jaxgan.models import conditions
from jaxgan.models.registry import Modules
from jaxgan.reporting.recorder import RollBack, RunRecorder
from jaxgan.reporting.summary import describe_finished
from jaxgan.training import distributed, jax_setup, run_folder
from jaxgan.training import program as program_lib
from jaxgan.training.checkpoint import Checkpoints
from jaxgan.training.gan import Gan, build_gan
from jaxgan.training.seed_groups import (
    initialise_all,
    join_groups,
    make_loaders,
    make_programs,
    split_groups,
    to_host,
    update_best,
    with_attempts,
)
from jaxgan.training.stop_signals import StopSignals


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
    jax_setup.configure_jax(config.get("dtype", ""))
    first = distributed.is_primary()  # It alone looks into the folder and writes.
    with distributed.synchronized():
        validation.validate(config)
        finished = first and _is_finished(config, workdir, dataset)
    if distributed.all_max(finished):
        if first:
            print(describe_finished(config, workdir))
        return 0
    with distributed.synchronized():
        if dataset is not None and config.dataset.near_duplicates != "keep":
            raise UserError(
                f"dataset.near_duplicates={config.dataset.near_duplicates}: the dataset is given",
                "data.near_duplicates.without_near_duplicates(split) leaves them out",
            )
        dataset = data.load(config) if dataset is None else dataset
        registry.check_best_by(config.best_by, dataset)
        condition = conditions.make(
            config, dataset.label_names, dataset.classes, dataset.feature_size
        )
        gan = build_gan(config, dataset.image_shape, condition, modules)
    _refuse_differing(config, dataset)
    seeds = tuple(range(config.seed, config.seed + config.seeds))
    programs = make_programs(config, gan, seeds, dataset)
    with distributed.synchronized():
        lock = (
            run_folder.enter(config, workdir, dataset, gan) if first else contextlib.nullcontext()
        )
    checkpoints = Checkpoints(
        os.path.join(workdir, "checkpoints"),
        config.checkpoints_kept,
        # SIGTERM's own checkpoint does not push out the one that a seed would be rolled back to.
        regular=config.checkpoint_every if config.rollbacks else 0,
    )
    stop, back = StopSignals(), None
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
    programs: list[program_lib.Program],
    checkpoints: Checkpoints,
    stop: StopSignals,
    back: RollBack | None,
) -> int:
    """From the newest checkpoint, or the one that `back` leads to, to the end; the exit status."""
    first = distributed.is_primary()
    seeds = tuple(seed for program in programs for seed in program.seeds)

    # --- The state: new, or that of the newest whole checkpoint, which the first process tells
    like = jax.eval_shape(lambda: join_groups(*initialise_all(programs)))
    most, restored = None, None
    with distributed.synchronized():
        if first:
            checkpoints.wait()
            most = None if back is None else _step_to_go_back_to(config, checkpoints, back)
            restored = checkpoints.restore(like, most)
    start = distributed.all_max(0 if restored is None else restored[0])
    # Where the step to go back to was damaged, the steps up to it are done again as they were.
    again = back if distributed.all_max(start == most) else None
    if start == 0:
        states, bests = initialise_all(programs)
    else:
        states, bests = split_groups(
            distributed.broadcast_from_primary(restored and restored[1], like), programs
        )
    if again is not None:
        states = with_attempts(states, programs, again.attempts)
    _refuse_fewer_steps(config, workdir, start)
    if start > 0 and again is None:
        distributed.log(f"{workdir}: going on from step {start}")
    with distributed.synchronized():
        record = RunRecorder(
            config, workdir, dataset, gan, seeds, start, to_host(programs, states), again
        )
    feeds = make_loaders(config, gan, programs, dataset, start)

    # --- The loop
    try:
        with stop:
            step, stopping = start, distributed.all_max(stop.asked)
            if step == 0:
                record.sample(0, to_host(programs, states))
            while step < config.steps and not stopping:
                count = _steps_to_next_cut(config, step, programs[0].steps_per_call)
                metrics = []
                for i, program in enumerate(programs):
                    states[i], values = program.run(states[i], feeds[i].next(count))
                    metrics.append(values)
                step += count
                record.add_metrics(step, count, metrics)
                last = step == config.steps
                # Asking the others is a wait, so several processes do it at the log's steps only.
                if distributed.is_single_process() or step % config.log_every == 0 or last:
                    stopping = distributed.all_max(stop.asked)
                if step % config.log_every == 0 or step % config.eval_every == 0 or last:
                    record.log(step)
                if step % config.sample_every == 0 or last:
                    record.sample(step, to_host(programs, states))
                if step % config.eval_every == 0 or last:
                    scores = record.evaluate(step, to_host(programs, states))
                    for i in range(len(programs)):
                        bests[i] = update_best(bests[i], states[i], scores[i])
                if step % config.checkpoint_every == 0 or last or stopping:
                    record.flush()
                    whole = join_groups(to_host(programs, states), to_host(programs, bests))
                    if first:
                        checkpoints.save(step, whole)

            record.flush()
            checkpoints.wait()
            stopping = distributed.all_max(stop.asked)

        # --- The end: all is saved, so that a signal may end what is left at once
        record.progress.close()
        if stopping:
            distributed.log(f"stopped at step {step}, saved; the same command goes on from there")
            return 128 + stopping
        states, bests = to_host(programs, states), to_host(programs, bests)
        with distributed.synchronized():
            record.finish(states, bests)
    finally:
        for feed in feeds:
            feed.close()
        record.close()
    if first:
        print(describe_finished(config, workdir))
    return 0


def _is_finished(config: ConfigDict, workdir: str, dataset: Dataset | None) -> bool:
    """Whether the run in the folder is this one, and at its end; UserError if it is another."""
    saved, done = run_folder.inspect(config, workdir), run_folder.results(workdir)
    if saved is None or done is None or done["step"] < config.steps:
        return False
    _refuse_fewer_steps(config, workdir, done["step"])
    moved = any(config_lib.get(config, path) != saved["config"][path] for path in keys.PLACES)
    if moved or dataset is not None:  # Else not read, so that the table is there at once.
        now = data.load(config) if dataset is None else dataset
        _refuse_other_data(workdir, saved, now)
    return True


def _refuse_differing(config: ConfigDict, dataset: Dataset) -> None:
    """Raises UserError in every process if they were started for different runs."""
    where = keys.PLACES
    compared = {path: value for path, value in config_lib.leaves(config) if path not in where}
    distributed.check_same("the config", str(sorted(compared.items())))
    read = f"{dataset.digest()} {len(dataset.train)}"
    distributed.check_same(f"the data of {dataset.name}", read)


def _refuse_fewer_steps(config: ConfigDict, workdir: str, step: int) -> None:
    if step > config.steps:
        raise UserError(
            f"steps={config.steps}: {workdir} is already at step {step}", "give more steps"
        )


def _refuse_other_data(workdir: str, saved: dict[str, Any], dataset: Dataset) -> None:
    if saved["dataset"]["sha256"] != dataset.digest():
        raise UserError(
            f"{workdir} is finished, and was trained on other data than {dataset.name} has now",
            run_folder.ANOTHER,
        )


# --- States: for each group of seeds on the devices, and whole on disk


def _step_to_go_back_to(config: ConfigDict, checkpoints: Checkpoints, back: RollBack) -> int:
    """The last step before the failure at which a checkpoint is due, whatever else was saved (at a
    signal), so that a run that was stopped on the way ends with the same bits."""
    due = (back.failed_at - 1) // config.checkpoint_every * config.checkpoint_every
    saved = checkpoints.steps()
    # checkpoint_every may have changed on the way, and nothing that old be left.
    return saved[0] if saved and saved[-1] > due else due


def _steps_to_next_cut(config: ConfigDict, step: int, most: int) -> int:
    """How many steps one call may run: it never reaches over a step at which something is due."""
    every = (config.log_every, config.sample_every, config.eval_every, config.checkpoint_every)
    return min(most, config.steps - step, *(n - step % n for n in every))
