"""A run's folder: who may use it, and what is written into it before the first step."""

import errno
import fcntl
import importlib.metadata
import json
import os
import platform
import shlex
import subprocess
import sys
from typing import Any, TextIO

import jax
from ml_collections import ConfigDict

import jaxgan.config as config_lib
from jaxgan.common.errors import UserError
from jaxgan.common.files import write_json, write_text
from jaxgan.data.dataset import Dataset
from jaxgan.models import summary
from jaxgan.training.gan import Gan, example_inputs

RECORDED_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "jaxgan")
CONFIG, NETWORKS, RESULTS, LOCK = "config.json", "networks.txt", "results.json", ".lock"
NEAR_DUPLICATES = "near_duplicates.json"
ANOTHER = "give another --workdir"


def inspect(config: ConfigDict, workdir: str) -> dict[str, Any] | None:
    """Looks whether a run may use the folder; makes nothing.

    Returns:
      What the run there wrote about itself, or None where there is no run yet.

    Raises:
      UserError: if the folder holds another run or something else, or cannot be written.
    """
    path = os.path.join(workdir, CONFIG)
    if os.path.exists(path):
        try:
            with open(path) as file:
                saved: dict[str, Any] = json.load(file)
            config_lib.refuse_changes(config, dict(saved["config"]), workdir)
            str(saved["dataset"]["sha256"])
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(f"{path} is not a run's config ({error})", ANOTHER) from error
        if not os.access(workdir, os.W_OK):
            raise UserError(f"{workdir} cannot be written", ANOTHER)
        return saved
    if os.path.exists(workdir):
        if not os.path.isdir(workdir):
            raise UserError(f"{workdir} is a file", ANOTHER)
        # A start that was killed early may have left these.
        if any(name != LOCK and not _is_part(name) for name in os.listdir(workdir)):
            raise UserError(f"{workdir} holds something else than a run", ANOTHER)
    parent = os.path.abspath(workdir)
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    if not os.path.isdir(parent) or not os.access(parent, os.W_OK):
        raise UserError(f"{workdir} cannot be written ({parent})", ANOTHER)
    return None


def enter(config: ConfigDict, workdir: str, dataset: Dataset, gan: Gan) -> TextIO:
    """Makes the folder where it is missing, and keeps every other process out of it.

    Returns:
      The lock: the folder is this process's until the file is closed, or the process ends.

    Raises:
      UserError: if another process is in there, the run there is another or saw other data, or
        nothing can be written.
    """
    about = _about(config, dataset)
    networks = describe_networks(gan)
    try:
        os.makedirs(workdir, exist_ok=True)
    except OSError as error:
        raise _unwritable(workdir, error) from error
    lock = keep_out(workdir)
    try:
        # Looked at once more: before the lock another process may have begun a run here.
        saved = inspect(config, workdir)
        if saved is None:
            write_json(os.path.join(workdir, CONFIG), about)
        else:
            check_same_data(workdir, saved, dataset)
        if dataset.drawn_from:  # Always anew: another machine may judge a few of them otherwise.
            write_json(os.path.join(workdir, NEAR_DUPLICATES), {"groups": dataset.alike})
        if not os.path.exists(os.path.join(workdir, NETWORKS)):
            write_text(os.path.join(workdir, NETWORKS), networks)
    except (UserError, OSError):
        lock.close()
        raise
    return lock


def keep_out(workdir: str) -> TextIO:
    """Keeps every other process out of the folder until the file is closed, or the process ends.

    Raises:
      UserError: if another process is in there, or the folder cannot be written.
    """
    try:
        lock = open(os.path.join(workdir, LOCK), "w")
    except OSError as error:
        raise _unwritable(workdir, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UserError(f"another process is at work in {workdir}", "wait, or stop it") from None
    return lock


def check_same_data(workdir: str, saved: dict[str, Any], dataset: Dataset) -> None:
    """Raises UserError if the run, which wrote `saved` about itself, saw other data."""
    if saved["dataset"]["sha256"] != dataset.digest():
        raise UserError(
            f"{workdir} was trained on other images or labels than {dataset.name} has now", ANOTHER
        )


def _is_part(name: str) -> bool:
    return name.startswith(CONFIG) and name.endswith(".part")


def _unwritable(workdir: str, error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return error
    return UserError(f"{workdir} cannot be written ({error.strerror})", ANOTHER)


def results(workdir: str) -> dict[str, Any] | None:
    """The run's `results.json`, or None where it has not finished yet."""
    path = os.path.join(workdir, RESULTS)
    if not os.path.exists(path):
        return None
    with open(path) as file:
        found: dict[str, Any] = json.load(file)
    return found


def _about(config: ConfigDict, dataset: Dataset) -> dict[str, Any]:
    splits = {name: len(getattr(dataset, name)) for name in ("train", "validation", "test")}
    versions = {name: importlib.metadata.version(name) for name in RECORDED_PACKAGES}
    return {
        "command": _command(),
        "config": dict(config_lib.leaves(config)),
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.digest(),
            "image_shape": dataset.image_shape,
            "label_names": dataset.label_names,
            "classes": dataset.classes,
            "features": dataset.feature_size,
            **splits,
        },
        "versions": versions | {"python": platform.python_version()},
        "device": jax.devices()[0].device_kind,
        "devices": len(jax.devices()),
        "commit": _commit(),
    }


def _command() -> str | None:
    """How the process was started, where it was as `python -m jaxgan.…`."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None or not spec.name.startswith("jaxgan."):
        return None
    return shlex.join(["python", "-m", spec.name, *sys.argv[1:]])


def _commit() -> str | None:
    """The commit of the source tree, where there is one."""
    here = os.path.dirname(os.path.abspath(__file__))
    try:
        shown = subprocess.run(
            ["git", "-C", here, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return shown.stdout.strip()


def describe_networks(gan: Gan) -> str:
    """The networks' layers with shapes and parameter counts, as `networks.txt` holds them."""
    latent, image = example_inputs(gan)
    parts = [
        summary.describe("generator", summary.layers(gan.generator, latent)),
        summary.describe(
            "discriminator", summary.layers(gan.discriminator, image, latent.condition)
        ),
    ]
    if gan.q is not None:
        features = jax.eval_shape(
            lambda: gan.discriminator.init_with_output(jax.random.key(0), image, None, train=False)
        )[0][1]
        parts.append(summary.describe("q", summary.layers(gan.q, features)))
    return "\n\n".join(parts) + "\n"
