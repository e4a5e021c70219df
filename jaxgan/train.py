"""The training loop, read from top to bottom: check, build, restore; then step, log, sample,
evaluate, save."""

import contextlib
import importlib
import os
import sys
import types
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

import jaxgan.config as config_lib
from jaxgan import data
from jaxgan.common import buckets
from jaxgan.common.errors import UserError
from jaxgan.common.notebook import print_wide
from jaxgan.common.stop_signals import StopSignals
from jaxgan.config import keys, validation
from jaxgan.config.new_runs import check_new_run
from jaxgan.data.dataset import Dataset, check_passed
from jaxgan.data.loader import BatchLoader
from jaxgan.evaluation import registry
from jaxgan.inference import loading
from jaxgan.inference.trained_run import Run
from jaxgan.models import conditions
from jaxgan.models.registry import Modules
from jaxgan.reporting.advice import few_images
from jaxgan.reporting.html.report import FILE_NAME, renew_report
from jaxgan.reporting.recorder import RollBack, RunRecorder
from jaxgan.reporting.summary import describe_finished
from jaxgan.training import distributed, intervals, jax_setup, run_files, run_folder, seed_groups
from jaxgan.training.checkpoint import Checkpoints
from jaxgan.training.gan import Gan, build_gan
from jaxgan.training.program import Program, StepMetrics
from jaxgan.training.seed_groups import gather
from jaxgan.training.state import Best, GanState


def train(
    config: ConfigDict, workdir: str, dataset: Dataset | None = None, modules: Modules | None = None
) -> int:
    """Trains a run to its last step, or continues it; returns the process's exit status.

    Args:
      config: the run's config.
      workdir: the run's folder, on a disk or in a bucket (`common.buckets`).
      dataset: the data; None loads the dataset that the config names.
      modules: the networks; None builds those that the config names.

    Raises:
      UserError: if the config, the dataset or the folder cannot be used, and nothing is written
        then; if no checkpoint is whole, and all are moved to checkpoints.damaged; or if another
        process has failed.
      NotFinite: if no seed is left whose numbers are finite.
      OSError: with errno ENOSPC or EDQUOT if the disk is full. The checkpoints stay whole, and the
        next call continues the run.
    """
    jax_setup.configure_jax(config.get("dtype", ""), workdir)
    with contextlib.ExitStack() as stack:
        with distributed.synchronized():
            if distributed.is_primary():
                workdir = stack.enter_context(buckets.working_copy(workdir))
        status = _train(config, workdir, dataset, modules)
    # JAX's shutdown waits only 30 s, and the first process may still be sending to a bucket.
    distributed.all_max(0)
    return status


def _train(
    config: ConfigDict, workdir: str, dataset: Dataset | None, modules: Modules | None
) -> int:
    """`train` in a local folder."""
    # --- Check the config, the data and the networks before any file is written
    primary = distributed.is_primary()  # Only this process inspects and writes the folder.
    with distributed.synchronized():
        validation.validate(config)
        if primary and not os.path.exists(os.path.join(workdir, run_files.CONFIG)):
            check_new_run(config, dataset is not None)
        finished = primary and _is_finished(config, workdir, dataset)
    if distributed.all_max(finished):
        if primary:
            _renew_old_report(workdir, modules)
            print_wide(describe_finished(config, workdir))
        return 0
    with distributed.synchronized():
        if dataset is None:
            dataset = data.load(config)
        else:
            check_passed(config, dataset)
        if config.generator.output_bias == "data" and (modules is not None or dataset.points):
            what = "generator.output_bias=data needs images, and networks built from the config"
            raise UserError(what, "leave it at zero")
        registry.check_best_by(config.best_by, dataset)
        condition = conditions.make(
            config, dataset.label_names, dataset.classes, dataset.feature_size
        )
        gan = build_gan(
            config, dataset.image_shape, condition, modules, _pixel_means(config, dataset)
        )
    _check_same_run(config, dataset)
    _warn_of_few_images(config, dataset)

    # --- Compile the programs, lock the folder, train
    seeds = tuple(range(config.seed, config.seed + config.seeds))
    programs = seed_groups.make_programs(config, gan, seeds, dataset)
    lock: Any = contextlib.nullcontext()
    with distributed.synchronized():
        if primary:
            lock = run_folder.enter(config, workdir, dataset, gan, modules is not None)
    # A checkpoint saved at SIGTERM must not push out the one that a rollback would need.
    regular = config.checkpoint_every if config.rollbacks else 0
    folder = os.path.join(workdir, "checkpoints")
    checkpoints = Checkpoints(folder, config.checkpoints_kept, regular=regular, config=config)
    stop, rollback = StopSignals(), None
    with lock, contextlib.closing(checkpoints):
        while True:
            try:
                return _train_until_stop(
                    config, workdir, dataset, gan, programs, checkpoints, stop, rollback
                )
            except RollBack as failure:  # Every process raises it at the same step.
                # Drop the traceback, whose frames hold the states of the failed attempt.
                rollback = failure.with_traceback(None)


def _train_until_stop(
    config: ConfigDict,
    workdir: str,
    dataset: Dataset,
    gan: Gan,
    programs: list[Program],
    checkpoints: Checkpoints,
    stop: StopSignals,
    rollback: RollBack | None,
) -> int:
    """Trains from the newest checkpoint, or the one that `rollback` requires, to the last step or a
    signal; returns the exit status."""
    # --- Restore
    primary = distributed.is_primary()
    start, states, bests, rollback = _restore(config, checkpoints, programs, rollback)
    _check_not_past(config, workdir, start)
    if start > 0 and rollback is None:
        distributed.log(f"{workdir}: going on from step {start}")
    seeds = tuple(seed for program in programs for seed in program.seeds)
    with distributed.synchronized():
        recorder = RunRecorder(
            config, workdir, dataset, gan, seeds, start, gather(programs, states), rollback
        )

    loaders: list[BatchLoader] = []
    try:
        loaders += seed_groups.make_loaders(config, gan, programs, dataset, start)
        with stop:
            step, stopping = _loop(
                config, programs, loaders, start, states, bests, recorder, checkpoints, stop
            )
        # --- The end: everything is saved, so from here on a signal may end the process at once
        recorder.progress.close()
        if stopping:
            distributed.log(f"stopped at step {step}, saved; the same command goes on from there")
            return 128 + stopping
        states, bests = gather(programs, states), gather(programs, bests)
        with distributed.synchronized():
            recorder.finish(states, bests)
    finally:
        for loader in loaders:
            loader.close()
        recorder.close()
    if primary:
        print_wide(describe_finished(config, workdir))
    return 0


def _loop(
    config: ConfigDict,
    programs: list[Program],
    loaders: list[BatchLoader],
    step: int,
    states: list[GanState],
    bests: list[Best],
    recorder: RunRecorder,
    checkpoints: Checkpoints,
    stop: StopSignals,
) -> tuple[int, int]:
    """Trains from `step` to the last step or a signal, and saves; returns the step that it reached
    and the signal, or 0. The new states and best networks replace the old ones in their lists."""
    sheets, saves = intervals.spacings(config)
    stopping = distributed.all_max(stop.asked)
    if step == 0:
        recorder.sample(0, gather(programs, states))
    limit = 1
    while step < config.steps and not stopping:
        count = intervals.steps_to_next_cut(config, step, limit)
        metrics = _run(programs, states, loaders, count)
        step += count
        recorder.add_metrics(step, count, metrics)
        last = step == config.steps
        due = intervals.rows_due(config, step - count, step)
        fetch = due or recorder.waiting >= intervals.MOST_WAITING
        if fetch:
            seconds, most = recorder.log(due), programs[0].steps_per_call
            limit = intervals.next_limit(seconds, limit, most)
        # Asking the other processes blocks, so a run of several asks only then.
        if fetch or distributed.is_single_process():
            stopping = distributed.all_max(stop.asked)
        if last or (step % config.sample_every == 0 and sheets.due()):
            recorder.sample(step, gather(programs, states))
        if last or step % config.eval_every == 0:
            scores = recorder.evaluate(step, gather(programs, states))
            for i in range(len(programs)):
                bests[i] = seed_groups.update_best(bests[i], states[i], scores[i])
        due_now = step % config.checkpoint_every == 0 and saves.due()
        if due_now or last or stopping:
            recorder.flush()
            tree = seed_groups.join_groups(gather(programs, states), gather(programs, bests))
            if distributed.is_primary():
                checkpoints.save(step, tree)
    recorder.flush()
    checkpoints.wait()
    return step, distributed.all_max(stop.asked)


def _run(
    programs: list[Program], states: list[GanState], loaders: list[BatchLoader], count: int
) -> list[StepMetrics]:
    """Runs `count` steps of every group of seeds; the new states replace the old ones."""
    metrics = []
    for i, program in enumerate(programs):
        states[i], values = program.run(states[i], loaders[i].next(count))
        metrics.append(values)
    return metrics


def _restore(
    config: ConfigDict, checkpoints: Checkpoints, programs: list[Program], rollback: RollBack | None
) -> tuple[int, list[GanState], list[Best], RollBack | None]:
    """The step, states and best networks to start from, and `rollback`, or None if its checkpoint
    could not be restored.

    The primary process broadcasts the newest whole checkpoint; without one, the step is 0.
    """
    target = jax.eval_shape(lambda: seed_groups.join_groups(*seed_groups.initialise_all(programs)))
    latest, restored = None, None
    with distributed.synchronized():
        if distributed.is_primary():
            checkpoints.wait()
            latest = None if rollback is None else _rollback_step(config, checkpoints, rollback)
            restored = checkpoints.restore(target, latest)
    start = distributed.all_max(0 if restored is None else restored[0])
    # If the checkpoint to roll back to is damaged, an older one is restored. Training then repeats
    # the steps after it with the same random numbers, fails again, and rolls back then.
    if not distributed.all_max(start == latest):
        rollback = None
    if start == 0:
        states, bests = seed_groups.initialise_all(programs)
    else:
        tree = distributed.broadcast_from_primary(restored and restored[1], target)
        states, bests = seed_groups.split_groups(tree, programs)
    if rollback is not None:
        states = seed_groups.with_attempts(states, programs, rollback.attempts)
    return start, states, bests, rollback


def _rollback_step(config: ConfigDict, checkpoints: Checkpoints, rollback: RollBack) -> int:
    """The last multiple of `checkpoint_every` before the failure. A checkpoint saved at a signal
    does not count: a run that was stopped must end with the same bits as one that was not."""
    due = (rollback.failed_at - 1) // config.checkpoint_every * config.checkpoint_every
    saved = checkpoints.steps()
    # If checkpoint_every was changed, every checkpoint may be newer than that.
    return saved[0] if saved and saved[-1] > due else due


def _pixel_means(config: ConfigDict, dataset: Dataset) -> np.ndarray | None:
    """Each pixel's mean over the training images, in [0, 1], if the generator starts from it."""
    if config.generator.output_bias != "data":
        return None
    images, block = dataset.train.images, 4_096
    starts = range(0, len(images), block)
    total = sum(images[i : i + block].sum(axis=0, dtype=np.int64) for i in starts)
    return np.asarray(total / (255 * len(images)))


# --- Checks


def _is_finished(config: ConfigDict, workdir: str, dataset: Dataset | None) -> bool:
    """Whether the folder holds this run, finished; UserError if it holds another run."""
    saved = run_folder.inspect(config, workdir)
    try:
        results = run_files.read_results(workdir)
    except run_files.DamagedFile:  # Measured again at the end.
        return False
    if saved is None or results is None or results["step"] < config.steps:
        return False
    if not os.path.isdir(os.path.join(workdir, "checkpoints", str(results["step"]))):
        return False  # Its networks are gone: it is trained to its end again.
    _check_not_past(config, workdir, results["step"])
    # A run saved before a key existed used that key's default.
    places = {path: keys.KEYS[path].default for path in keys.PLACES} | saved["config"]
    moved = any(config_lib.get(config, path) != places[path] for path in keys.PLACES)
    # Read the data only if it may have changed, so that the table usually appears at once.
    if moved or dataset is not None:
        dataset = data.load(config) if dataset is None else dataset
        run_folder.check_same_data(workdir, saved, dataset)
    return True


def _renew_old_report(workdir: str, modules: Modules | None) -> None:
    """Writes the report of a run that ended after its results and before its report."""
    report = os.path.join(workdir, FILE_NAME)
    results = os.path.join(workdir, run_files.RESULTS)
    if not os.path.exists(report) or os.path.getmtime(report) < os.path.getmtime(results):
        renew_report(workdir, print, modules=modules)


def _check_same_run(config: ConfigDict, dataset: Dataset) -> None:
    """Raises UserError in every process if they were started for different runs."""
    values = sorted(item for item in config_lib.leaves(config) if item[0] not in keys.PLACES)
    distributed.check_same("the config", str(values))
    data = f"{dataset.digest()} {dataset.content} {len(dataset.train)} {dataset.alike}"
    distributed.check_same(f"the data of {dataset.name}", data)


def _check_not_past(config: ConfigDict, workdir: str, step: int) -> None:
    if step > config.steps:
        what = f"steps={config.steps}: {workdir} is already at step {step}"
        raise UserError(what, "give more steps")


def _warn_of_few_images(config: ConfigDict, dataset: Dataset) -> None:
    about = {"train": len(dataset.train), "image_shape": dataset.image_shape}
    few = few_images(dict(config_lib.leaves(config)), about)
    if few is not None:
        distributed.log(f"advice: {few}")


class _Callable(types.ModuleType):
    """This module can be called, so that `jaxgan.train(…)` and `jaxgan.train.train` both exist."""

    def __reduce__(self) -> tuple[Any, ...]:
        return importlib.import_module, (__name__,)

    def __call__(
        self,
        config: ConfigDict | str,
        workdir: str,
        dataset: Dataset | None = None,
        modules: Modules | None = None,
    ) -> Run:
        """Trains a run to its last step, or continues it, and loads it.

        Args and errors as in `train`; a config may be a name for `jaxgan.config.named`.

        Returns:
          The chosen seed's best networks, as `jaxgan.load` does.

        Raises:
          KeyboardInterrupt: if a signal stopped the run, such as a notebook's interrupt. What was
            trained is saved, and the next call continues.
          UserError: also on a host that cannot read the folder, which the first process writes: see
            `loading.check_shared`.
        """
        config = config_lib.named(config) if isinstance(config, str) else config
        status = train(config, workdir, dataset, modules)
        if status:
            raise KeyboardInterrupt(status - 128)
        if not distributed.is_primary():
            loading.check_shared(workdir)
        return loading.load(workdir, modules=modules)


sys.modules[__name__].__class__ = _Callable
