"""A run's folder: which run may use it, and the files written before the first step."""

import errno
import fcntl
import fnmatch
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from typing import Any, TextIO

import jax
from ml_collections import ConfigDict

import jaxgan.config as config_lib
from jaxgan.common.errors import DISK_FULL, UserError, file_errors
from jaxgan.common.files import free_path, write_json, write_text
from jaxgan.common.version import VERSION
from jaxgan.data.dataset import Dataset
from jaxgan.models import summary
from jaxgan.training import checkpoint, run_files
from jaxgan.training.gan import Gan, example_inputs

RECORDED_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")
NETWORKS, LOCK = "networks.txt", ".lock"
FOLDERS = ("checkpoints", "checkpoints.damaged", "samples", "tensorboard")
NEAR_DUPLICATES = "near_duplicates.json"
ANOTHER = "give another --workdir"
# What flock raises on file systems without locks, such as Lustre and some of NFS.
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL)


def inspect(config: ConfigDict, workdir: str) -> dict[str, Any] | None:
    """The content of `config.json`, or None if there is no run yet; writes nothing.

    Raises:
      UserError: if the folder holds another run or other files, or cannot be written.
    """
    checkpoint.check_path(workdir)
    _check_apart(config, workdir)
    saved = run_files.read_info(workdir)
    if saved is not None:
        config_lib.refuse_changes(config, saved["config"], workdir)
        for path in (workdir, *(os.path.join(workdir, name) for name in FOLDERS)):
            _check_writable(path)
        return saved
    if os.path.exists(workdir):
        if not os.path.isdir(workdir):
            raise UserError(f"{workdir} is a file", ANOTHER)
        names = os.listdir(workdir)
        # A run killed at its start may leave its lock and a partial config.
        leftover = f"{run_files.CONFIG}*.part"
        if any(name != LOCK and not fnmatch.fnmatchcase(name, leftover) for name in names):
            raise UserError(f"{workdir} holds something else than a run", ANOTHER)
    parent = os.path.abspath(workdir)
    while not os.path.exists(parent):
        parent = os.path.dirname(parent)
    if not os.path.isdir(parent) or not os.access(parent, os.W_OK):
        raise UserError(f"{workdir} cannot be written ({parent})", ANOTHER)
    return None


def enter(
    config: ConfigDict, workdir: str, dataset: Dataset, gan: Gan, own_networks: bool = False
) -> TextIO:
    """Locks the folder as `keep_out` does, and writes the run's description into it.

    Args:
      config, workdir, dataset, gan: the run.
      own_networks: whether the networks are not those that the config names.

    Raises:
      UserError: if another process holds the lock, the folder belongs to another run or a run on
        other data, or cannot be written.
    """
    about = _about(config, dataset) | ({"own_networks": True} if own_networks else {})
    networks = describe_networks(gan)
    lock = keep_out(workdir)
    try:
        # Inspected again: before the lock, another process may have started a run here.
        saved = inspect(config, workdir)
        if saved is None:
            write_json(os.path.join(workdir, run_files.CONFIG), about)
        else:
            check_same_data(workdir, saved, dataset)
            _check_same_networks(workdir, saved, own_networks)
            if saved["config"] != about["config"]:  # Keys that may change, such as `steps`.
                renewed = saved | {"config": about["config"]}
                write_json(os.path.join(workdir, run_files.CONFIG), renewed)
            try:
                run_files.read_results(workdir)
            except run_files.DamagedFile as error:
                put_results_aside(workdir, error)
        if dataset.drawn_from:  # Always rewritten: on another machine a few groups may differ.
            write_json(os.path.join(workdir, NEAR_DUPLICATES), {"groups": dataset.alike})
        if not os.path.exists(os.path.join(workdir, NETWORKS)):
            write_text(os.path.join(workdir, NETWORKS), networks)
    except (UserError, OSError):
        lock.close()
        raise
    return lock


def keep_out(workdir: str) -> TextIO:
    """Locks the folder, which is created if necessary, until the returned file is closed or the
    process ends; UserError if another process holds the lock, or the folder cannot be written."""
    try:
        os.makedirs(workdir, exist_ok=True)
        # No link is followed: its target would be truncated.
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW
        lock = open(os.open(os.path.join(workdir, LOCK), flags, 0o666), "r+")
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        why = error.strerror or error
        raise UserError(f"{workdir} cannot be written ({why})", ANOTHER) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise UserError(f"another process is at work in {workdir}", "wait, or stop it") from None
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            lock.close()
            raise
        print(
            f"{workdir}: its file system has no locks ({error.strerror}); let no other process work"
            " in this folder",
            flush=True,
        )
    return lock


def _check_apart(config: ConfigDict, workdir: str) -> None:
    """Raises UserError if the run would write into the folder of its images."""
    if config.dataset.name.removeprefix("stacked_") != "folder":
        return
    images = os.path.realpath(os.path.expanduser(config.dataset.data_dir))
    inside = os.path.relpath(os.path.realpath(workdir), images).split(os.sep)
    # The scan of the images passes over hidden folders.
    if inside[0] != os.pardir and not any(x.startswith(".") and x != "." for x in inside):
        what = f"{workdir} lies in the folder of the images, {images}"
        raise UserError(what, "give a --workdir outside of it")


def check_same_data(workdir: str, saved: dict[str, Any], dataset: Dataset) -> None:
    """Raises UserError if the run whose `config.json` is `saved` was trained on other data."""
    if saved["dataset"]["sha256"] != dataset.digest():
        raise UserError(
            f"{workdir} was trained on other images or labels than {dataset.name} has now", ANOTHER
        )
    # Older runs have none, and streamed images are not hashed.
    contents = {saved["dataset"].get("content_sha256", ""), dataset.content} - {""}
    if len(contents) > 1:
        what = f"{workdir} was trained on other images than {dataset.name} has now"
        raise UserError(f"{what}: some were changed in their place", ANOTHER)


def _check_same_networks(workdir: str, saved: dict[str, Any], own_networks: bool) -> None:
    """Raises UserError if a run of a config's networks is continued with others, or the reverse."""
    if saved.get("own_networks") and not own_networks:
        what = f"{workdir} trains networks of one's own"
        raise UserError(what, f"give the same --modules (modules=…), or {ANOTHER}")
    if own_networks and not saved.get("own_networks"):
        what = f"{workdir} trains the networks that its config names"
        raise UserError(what, f"leave --modules (modules=…) out, or {ANOTHER}")


def put_results_aside(workdir: str, error: UserError) -> None:
    """Renames a `results.json` that cannot be read, and says so: it can be measured again."""
    path = os.path.join(workdir, run_files.RESULTS)
    kept = free_path(workdir, f"{run_files.RESULTS}.damaged")
    with file_errors(path, ANOTHER):
        os.rename(path, kept)
    print(f"{error.what}; kept as {os.path.basename(kept)}", file=sys.stderr, flush=True)


def chosen_seed(workdir: str, step: int) -> int | None:
    """The seed that a run of several chose at its end (`evaluation.selection`); None if there is
    no choice, or `step` is not the step of its results."""
    try:
        found = run_files.read_results(workdir)
    except UserError as error:
        # Sampling then uses the first seed, which may not be the chosen one.
        print(f"{error.what}; no seed is chosen", file=sys.stderr, flush=True)
        return None
    chosen = found and found["step"] == step and found["chosen"]
    return int(chosen["seed"]) if chosen else None


def _check_writable(path: str) -> None:
    """Raises UserError if this is there and not a folder to write in."""
    if not os.path.lexists(path):
        return
    if not os.path.isdir(path):
        raise UserError(f"{path} is not a folder", ANOTHER)
    if not os.access(path, os.W_OK | os.X_OK):
        raise UserError(f"{path} cannot be written", ANOTHER)


def _about(config: ConfigDict, dataset: Dataset) -> dict[str, Any]:
    splits = {name: len(getattr(dataset, name)) for name in ("train", "validation", "test")}
    versions = {name: importlib.metadata.version(name) for name in RECORDED_PACKAGES}
    return {
        "command": _command(),
        "config": dict(config_lib.leaves(config)),
        "dataset": {
            "name": dataset.name,
            "sha256": dataset.digest(),
            "content_sha256": dataset.content,
            "image_shape": dataset.image_shape,
            "label_names": dataset.label_names,
            "classes": dataset.classes,
            "features": dataset.feature_size,
            **splits,
        },
        "versions": versions | {"jaxgan": VERSION, "python": platform.python_version()},
        "device": jax.devices()[0].device_kind,
        "devices": len(jax.devices()),
        "commit": _commit(),
    }


def _command() -> str | None:
    """The process's command line if it was started as `python -m jaxgan.…`, else None."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None or not spec.name.startswith("jaxgan."):
        return None
    return shlex.join(["python", "-m", spec.name, *sys.argv[1:]])


def _commit() -> str | None:
    """The commit of the source tree, or None if this file is in no repository. An environment that
    jaxgan is installed in may lie inside of another project's."""
    here = os.path.abspath(__file__)

    def git(*arguments: str) -> str:
        command = ["git", "-C", os.path.dirname(here), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return done.stdout.strip()

    try:
        git("ls-files", "--error-unmatch", here)
        return git("describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    except (OSError, subprocess.SubprocessError):
        return None


def describe_networks(gan: Gan) -> str:
    """The content of `networks.txt`: the networks' layers, shapes and parameter counts."""
    latent, image = example_inputs(gan)
    layers = {
        "generator": summary.layers(gan.generator, latent),
        "discriminator": summary.layers(gan.discriminator, image, latent.condition),
    }
    if gan.q is not None:
        features = jax.eval_shape(
            lambda: gan.discriminator.init_with_output(jax.random.key(0), image, None, train=False)
        )[0][1]
        layers["q"] = summary.layers(gan.q, features)
    return "\n\n".join(summary.describe(*item) for item in layers.items()) + "\n"
