"""Checkpoints; the only module that uses Orbax.

Only the primary process reads and writes them. A checkpoint holds one pytree as NumPy arrays,
independent of devices, the SHA-256 of each leaf, since Orbax silently restores a flipped byte, and
its step and config, since folders can be renamed and copied. Restoring goes from the newest to the
oldest and takes the first whose digests, step and config match.
"""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import json
import logging
import os
import shutil
import stat
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypedDict

import jax
import msgspec
import numpy as np
from ml_collections import ConfigDict

import jaxgan.config as config_lib
from jaxgan.common.errors import DISK_FULL, UserError

# The item of a checkpoint's digests that says whose it is.
_OWNER = "owner"
# What reading a damaged checkpoint raises.
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
# Bytes read at a time.
_BLOCK = 2**20
# Characters in a path under which Orbax, which reads its metadata by a glob, finds nothing.
_PATTERNS = "[\\"


def check_path(folder: str) -> None:
    """Raises UserError if Orbax could write checkpoints under this path but not read them."""
    path = os.path.abspath(folder)
    found = [letter for letter in _PATTERNS if letter in path]
    try:
        path.encode()
    except UnicodeEncodeError:
        found.append("a byte that is not UTF-8")
    if found:
        what = f"{path}: checkpoints cannot be read under a path with {found[0]}"
        raise UserError(what, "rename that folder, or give another --workdir")


class Checkpoints:
    """The checkpoints of one run.

    Args:
      folder: created by the first save.
      kept: how many of the newest checkpoints are kept.
      say: reports a damaged checkpoint.
      read_only: whether to change nothing in the folder; another process may be writing there.
      regular: if not 0, the newest checkpoint whose step is a multiple of it is kept too.
      config: the run's config, written with each checkpoint and checked when it is read; None for
        neither.

    Raises:
      UserError: as `check_path` does.
    """

    def __init__(
        self,
        folder: str,
        kept: int,
        say: Callable[[str], None] = print,
        read_only: bool = False,
        regular: int = 0,
        config: ConfigDict | None = None,
    ) -> None:
        check_path(folder)
        self._folder, self._say, self._config = os.path.abspath(folder), say, config
        self._kept, self._read_only = _Kept(kept, regular), read_only
        self._opened: Any = None
        # Copies and digests arrays, 100 MB in .3 s, while training goes on.
        self._worker = concurrent.futures.ThreadPoolExecutor(1, "checkpoint")
        self._saving: concurrent.futures.Future[None] | None = None

    def _manager(self) -> Any:
        if self._opened is None:
            with warnings.catch_warnings():
                # Orbax imports names that JAX has deprecated.
                warnings.simplefilter("ignore")
                import orbax.checkpoint as ocp
            # Orbax logs pages about a damaged checkpoint; `restore` reports it in one line.
            for name in ("absl", "asyncio"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
            _hush_late_writers()
            options: dict[str, Any] = {"read_only": True}
            if not self._read_only:
                options = {"preservation_policy": self._kept, "cleanup_tmp_directories": True}
                os.makedirs(self._folder, exist_ok=True)
            self._check_metadata()
            # Only this process takes part, even in a run of several. Orbax then cannot create the
            # folder, so it is created above.
            this_process = ocp.options.MultiprocessingOptions(
                primary_host=jax.process_index(), active_processes={jax.process_index()}
            )
            self._opened = ocp.CheckpointManager(
                self._folder,
                item_names=("arrays", "digests"),
                options=ocp.CheckpointManagerOptions(
                    create=False, multiprocessing_options=this_process, **options
                ),
            )
        return self._opened

    def _check_metadata(self) -> None:
        """Puts checkpoints aside on which Orbax's listing would hang (a pipe) or fail.

        Raises:
          UserError: if there is one in a folder that is only read.
        """
        for name in filter(str.isdecimal, os.listdir(self._folder)):
            checkpoint = f"{self._folder}/{name}"
            try:
                _check_files(checkpoint)
                _check_json(f"{checkpoint}/_CHECKPOINT_METADATA")
            except FileNotFoundError:
                continue  # The run that is training has deleted it.
            except OSError as error:
                raise _unreadable(error) from error
            except ValueError as error:
                if self._read_only:
                    remedy = f"remove {checkpoint}; an earlier one is used then"
                    raise UserError(f"{checkpoint} is damaged: {error}", remedy) from None
                self._say_damaged(int(name), error)
                self._put_aside(int(name))

    def save(self, step: int, tree: Any) -> None:
        """Starts to write `tree` in a thread of its own, which reads the arrays after this returns:
        do not donate or change them.

        Raises whatever stopped the previous save, as `wait`, `steps` and `close` do; an OSError
        with errno ENOSPC or EDQUOT if the disk was full. The existing checkpoints are kept.
        """
        self._join()
        self._saving = self._worker.submit(self._save, step, tree)

    def _join(self) -> None:
        """Waits until the arrays of the previous save are with Orbax; raises what stopped it."""
        saving, self._saving = self._saving, None
        if saving is not None:
            saving.result()

    def _save(self, step: int, tree: Any) -> None:
        import orbax.checkpoint as ocp

        arrays = _flatten(tree)
        digests = {name: digest(x) for name, x in arrays.items()}
        with self._full_disk_as_oserror():
            args = ocp.args.Composite(
                arrays=ocp.args.PyTreeSave(arrays),
                digests=ocp.args.JsonSave(self._owner(step) | digests),
            )
            self._manager().save(step, args=args, force=True)

    def _owner(self, step: int) -> dict[str, Any]:
        if self._config is None:
            return {}
        return {_OWNER: {"step": step, "config": dict(config_lib.leaves(self._config))}}

    def _check_owner(self, step: int, owner: Any) -> None:
        """Raises ValueError if the checkpoint is of another step, or another run's."""
        if owner is None or self._config is None:  # Older versions wrote none.
            return
        if owner["step"] != step:
            raise ValueError(f"it was saved at step {owner['step']}")
        changes = config_lib.changed_keys(self._config, owner["config"])
        if changes:
            raise ValueError(f"it is another run's: {changes[0]}")

    def wait(self) -> None:
        """Waits until every save is on disk."""
        self._join()
        if self._opened is not None:
            with self._full_disk_as_oserror():
                self._opened.wait_until_finished()

    @contextlib.contextmanager
    def _full_disk_as_oserror(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            # Orbax's C++ writer raises a ValueError that quotes strerror, without an errno.
            for number in DISK_FULL:
                if os.strerror(number) in str(error):
                    raise OSError(number, os.strerror(number), self._folder) from error
            raise

    def steps(self) -> list[int]:
        """The steps of the complete checkpoints, newest first."""
        self._join()
        if not os.path.isdir(self._folder):
            return []
        return sorted(self._manager().all_steps(), reverse=True)

    def restore(self, target: Any, most: int | None = None) -> tuple[int, Any] | None:
        """Reads the newest checkpoint that is not damaged.

        Damaged ones are reported, skipped and moved to the folder `<folder>.damaged`, so that the
        run can write these steps again.

        Args:
          target: a tree of the same structure, of arrays or `jax.ShapeDtypeStruct`s.
          most: the latest step that may be restored; checkpoints after it are deleted first.

        Returns:
          The step and a tree of NumPy arrays, or None if there are no checkpoints.

        Raises:
          UserError: if all checkpoints are damaged, the newest whole one has other names, shapes
            or dtypes than `target`, or a file cannot be read now, which is no damage.
        """
        steps = self.steps()
        for step in [step for step in steps if most is not None and step > most]:
            self._manager().delete(step)
            steps.remove(step)
        for step in steps:
            try:
                arrays = self._read(step)
            except _DAMAGE as error:
                if self._read_only and not os.path.isdir(f"{self._folder}/{step}"):
                    # The run still trains: it has saved a newer one and deleted this one.
                    self._manager().reload()
                    return self.restore(target, most)
                # Orbax's errors do not tell damage from what cannot be read now.
                self._check_readable(step)
                self._say_damaged(step, error)
                if not self._read_only:
                    self._put_aside(step)
                    self._manager().reload()
            else:
                return step, _unflatten(arrays, target, f"{self._folder}/{step}")
        if steps:
            what = f"{self._folder}: no checkpoint is whole"
            again = "the same training command starts again from step 0"
            if self._read_only:
                raise UserError(what, f"move {self._folder} away; {again}")
            raise UserError(f"{what} (they are in {self._folder}.damaged)", again)
        return None

    def _check_readable(self, step: int) -> None:
        """Raises UserError if a file cannot be read now, such as for lack of permission."""
        try:
            for path in _files(f"{self._folder}/{step}"):
                with open(path, "rb") as file:
                    while file.read(_BLOCK):
                        pass
        except (FileNotFoundError, NotADirectoryError):
            return  # That is damage.
        except OSError as error:
            raise _unreadable(error) from error

    def _put_aside(self, step: int) -> None:
        os.makedirs(f"{self._folder}.damaged", exist_ok=True)
        destination = f"{self._folder}.damaged/{step}"
        shutil.rmtree(destination, ignore_errors=True)
        shutil.move(f"{self._folder}/{step}", destination)

    def _say_damaged(self, step: int, error: Exception) -> None:
        why = str(error).partition("\n")[0] or type(error).__name__
        self._say(f"checkpoint {step} is damaged and skipped: {why}")

    def _read(self, step: int) -> dict[str, np.ndarray]:
        import orbax.checkpoint as ocp

        manager = self._manager()
        args = ocp.args.Composite(digests=ocp.args.JsonRestore())
        digests = manager.restore(step, args=args)["digests"]
        self._check_owner(step, digests.pop(_OWNER, None))
        as_numpy = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in digests}
        args = ocp.args.Composite(arrays=ocp.args.PyTreeRestore(restore_args=as_numpy))
        restored = manager.restore(step, args=args)["arrays"]
        arrays = {name: np.asarray(restored[name]) for name in digests}
        for name, array in arrays.items():
            if digests[name] != digest(array):
                raise ValueError(f"{name} does not match its SHA-256")
        return arrays

    def close(self) -> None:
        """Waits until every save is on disk, and ends all threads."""
        try:
            self._join()
        finally:
            self._worker.shutdown()
            opened, self._opened = self._opened, None
            if opened is not None:
                with self._full_disk_as_oserror():
                    opened.close()


@dataclasses.dataclass(frozen=True)
class _Kept:
    """An Orbax policy that keeps the last `newest` checkpoints, and the last one whose step is a
    multiple of `regular`. (Orbax's EveryNSteps keeps every such multiple.)"""

    newest: int
    regular: int

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        del context
        steps = sorted(checkpoint.step for checkpoint in checkpoints)
        regular = [step for step in steps if self.regular and step % self.regular == 0]
        kept = {*steps[-self.newest :], *regular[-1:]}
        return [checkpoint.step in kept for checkpoint in checkpoints]


def _unreadable(error: OSError) -> UserError:
    what = f"{error.filename}: {error.strerror}, so the checkpoint cannot be read now"
    return UserError(what, "make it readable; nothing was changed")


def _files(folder: str) -> Iterator[str]:
    """The paths of all files in a folder; raises OSError if it cannot be listed."""

    def fail(error: OSError) -> None:
        raise error

    for where, _, names in os.walk(folder, onerror=fail):
        yield from (os.path.join(where, name) for name in names)


def _check_files(folder: str) -> None:
    """Raises ValueError for what is not a file: reading a pipe would not end."""
    try:
        for path in _files(folder):
            if not stat.S_ISREG(os.lstat(path).st_mode):
                raise ValueError(f"{os.path.relpath(path, folder)} is not a file")
    except NotADirectoryError:
        raise ValueError("it is not a folder") from None


def _check_json(path: str) -> None:
    """Raises ValueError if this file, where it is there, is not Orbax's metadata."""
    try:
        if os.path.exists(path):
            with open(path, "rb") as file:
                content = file.read()
            msgspec.convert(json.loads(content), _Metadata)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{os.path.basename(path)}: {error}") from None


class _Metadata(TypedDict, total=False):
    """What Orbax's `CheckpointManager` reads of every checkpoint."""

    item_handlers: dict[str, str] | str | None
    metrics: dict[str, Any] | None
    performance_metrics: dict[str, float] | None
    init_timestamp_nsecs: int | None
    commit_timestamp_nsecs: int | None
    custom_metadata: dict[str, Any] | None


def _hush_late_writers() -> None:
    """Hides the tracebacks of Orbax's other writers after one has failed: they report to an event
    loop that is closed by then. `save` and `wait` raise the failure itself."""
    previous = sys.unraisablehook
    if getattr(previous, "__module__", None) == __name__:
        return

    def hook(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            previous(unraisable)

    sys.unraisablehook = hook


def digest(array: np.ndarray) -> str:
    """SHA-256 of an array's dtype, shape and bytes."""
    header = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(header + np.ascontiguousarray(array).tobytes()).hexdigest()


def _unflatten(arrays: dict[str, np.ndarray], target: Any, where: str) -> Any:
    """The arrays in the structure of `target`; UserError unless names, shapes and dtypes agree."""
    leaves, structure = jax.tree_util.tree_flatten_with_path(target)
    expected = {_name(path): (tuple(leaf.shape), leaf.dtype) for path, leaf in leaves}
    found = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    differing = [name for name in expected | found if expected.get(name) != found.get(name)]
    if differing:
        raise UserError(
            f"{where} was saved from other networks: {differing[0]} and {len(differing) - 1} other"
            " arrays do not match",
            "own networks need --modules (modules=…); runs of other versions cannot be read",
        )
    return jax.tree.unflatten(structure, [arrays[_name(path)] for path, _ in leaves])


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _flatten(tree: Any) -> dict[str, np.ndarray]:
    # Copied: on the CPU np.asarray may be a view of a buffer that is donated to the next step.
    return {_name(path): np.array(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
