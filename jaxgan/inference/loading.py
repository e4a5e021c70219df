"""Loads trained runs from their folders: the config is checked first, then the newest whole
checkpoint is restored."""

import contextlib
import dataclasses
import os
from typing import Any

import jax
import numpy as np

from jaxgan import config as config_lib
from jaxgan.common import buckets
from jaxgan.common.errors import UserError
from jaxgan.common.rng import settings_of_runs
from jaxgan.config import keys
from jaxgan.config.validation import validate
from jaxgan.inference.trained_run import Run
from jaxgan.models import conditions
from jaxgan.models.registry import Modules
from jaxgan.training import run_files, run_folder
from jaxgan.training.checkpoint import Checkpoints
from jaxgan.training.gan import Gan, build_gan
from jaxgan.training.state import first_best, has_averages, initialise, networks, raw_networks


def load(
    workdir: str, checkpoint: str = "best", seed: int | None = None, modules: Modules | None = None
) -> Run:
    """Loads a run's networks; its data is not needed.

    Args:
      workdir: the run's folder, on a disk or in a bucket (gs://…, s3://…), which is only read; the
        run may still be training.
      checkpoint: "best", "last" or "raw", the last ones without their moving averages. Without best
        networks "best" is the last, and without averages "raw" is.
      seed: which of the run's seeds; None is the one that the run chose at its end, or the first
        whose losses are finite.
      modules: the networks, if they are not those that the config names.

    Raises:
      UserError: if there is no run, no such seed or checkpoint, or no whole checkpoint; if
        config.json is damaged or of another version; or if the networks are not those of the run,
        or its own ones are not given.
    """
    if checkpoint not in run_files.CHECKPOINTS:
        known = ", ".join(run_files.CHECKPOINTS)
        raise UserError(f"checkpoint={checkpoint!r}: not one of {known}")
    with buckets.reading_copy(workdir) as folder:
        step, runs, finite = _restore(folder, modules)
        chosen = run_folder.chosen_seed(folder, step)
    if seed is None:
        seed = chosen
    if seed is None:  # The first that stayed finite.
        seed = min(finite or runs)
    if seed not in runs:
        what = f"{workdir} has seeds {min(runs)} to {max(runs)}, not {seed}"
        raise UserError(what, "choose one of them")
    # Absolute, because the process may go to another folder.
    place = workdir if buckets.is_remote(workdir) else os.path.abspath(workdir)
    return dataclasses.replace(runs[seed].get(checkpoint, runs[seed]["last"]), workdir=place)


def check_shared(workdir: str) -> None:
    """Raises UserError in a process that is not the first of several and does not see the run's
    folder. Such a host took part in training, but the networks are on the first host's disk."""
    if not buckets.is_remote(workdir) and run_files.read_info(workdir) is None:
        raise UserError(
            f"{workdir} is not on this host: the first process, which writes the run, has another"
            " disk",
            "name a folder on a shared disk or a bucket; or call jaxgan.train.train, which returns"
            " no run",
        )


def load_every(
    workdir: str, seed: int | None = None, modules: Modules | None = None
) -> tuple[int, list[Run]]:
    """Loads the last networks of every seed that stayed finite, the same without moving averages if
    the run has any, and the best ones if it kept them.

    Args and errors as in `load`, but seed=None means all seeds, and UserError is also raised if
    every one of them has become non-finite. Returns the step of the last networks, and the runs.
    """
    step, runs, finite = _restore(workdir, modules)
    if seed is not None and seed not in runs:
        raise UserError(f"seed={seed}: {workdir} has seeds {min(runs)} to {max(runs)}")
    seeds = list(runs) if seed is None else [seed]
    if not finite.intersection(seeds):
        named = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
        raise UserError(f"{workdir}: the losses or gradients of {named} are not finite")
    return step, [run for seed in seeds if seed in finite for run in runs[seed].values()]


def _restore(
    workdir: str, modules: Modules | None
) -> tuple[int, dict[int, dict[str, Run]], set[int]]:
    """The last step, each seed's networks by the name of their checkpoint, and the finite seeds."""
    about = read_about(workdir)
    if about.get("own_networks") and modules is None:
        what = f"{workdir} was trained with networks of its own"
        raise UserError(what, "give them again: --modules=MODULE:NAME, in Python modules=…")
    config = config_lib.update(config_lib.base(), about["config"])
    data = about["dataset"]
    label_names = tuple(data["label_names"])
    with settings_of_runs(config.dtype):
        # Older versions did not record the number of features.
        condition = conditions.make(config, label_names, data["classes"], data.get("features", 0))
        gan = build_gan(config, tuple(data["image_shape"]), condition, modules)
        restored = _newest(workdir, gan)
    if restored is None:
        raise UserError(f"{workdir} has no checkpoint yet", "train it for longer")
    runs: dict[int, dict[str, Run]] = {}
    finite = set()
    for i in range(config.seeds):
        last, best = jax.tree.map(lambda x, i=i: x[i], (restored[1]["state"], restored[1]["best"]))
        # The best networks come last: their pictures replace those of the others.
        found = {"raw": (raw_networks(last), last.step)} if has_averages(last) else {}
        found["last"] = (networks(last), last.step)
        if np.isfinite(best.score):
            found["best"] = (best.networks, best.step)
        seed = config.seed + i
        runs[seed] = {
            name: Run(config, gan, weights, label_names, int(step), name, seed, workdir)
            for name, (weights, step) in found.items()
        }
        if last.alive:
            finite.add(seed)
    return restored[0], runs, finite


def _newest(workdir: str, gan: Gan) -> tuple[int, Any] | None:
    """The step of the newest whole checkpoint, and its states and best networks by name."""

    def target() -> dict[str, Any]:
        root_keys = jax.random.split(jax.random.key(0), gan.config.seeds)
        state = jax.vmap(lambda key: initialise(gan, key))(root_keys)
        return {"state": state, "best": first_best(state)}

    folder = os.path.join(workdir, "checkpoints")
    checkpoints = Checkpoints(folder, 1, read_only=True, config=gan.config)
    with contextlib.closing(checkpoints):
        return checkpoints.restore(jax.eval_shape(target))


def _check_dataset(dataset: dict[str, Any]) -> None:
    """Raises UserError if no run can have been trained on such data."""
    if min(dataset["image_shape"]) < 1:
        raise UserError(f"image_shape={dataset['image_shape']}")
    names, classes = dataset["label_names"], dataset["classes"]
    if names and not all(0 <= i < len(names) for i in classes):
        raise UserError(f"classes={classes} of {len(names)} names")


def read_about(workdir: str) -> dict[str, Any]:
    """The content of the run's `config.json`; UserError if there is no run, or another version of
    jaxgan wrote it."""
    about = run_files.read_info(workdir)
    if about is None:
        raise UserError(f"{workdir} holds no run", "--workdir names a run's folder")
    if any(key not in keys.KEYS for key in about["config"]):
        raise UserError(f"{workdir} was written by another version of jaxgan")
    try:
        validate(config_lib.update(config_lib.base(), about["config"]))
        _check_dataset(about["dataset"])
    except UserError as error:
        path = os.path.join(workdir, run_files.CONFIG)
        raise UserError(f"{path} is damaged, or not a run's: {error.what}") from None
    return about
