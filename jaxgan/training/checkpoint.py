"""Checkpoints; the only module that uses Orbax.

Only the primary process reads and writes them. A checkpoint holds one pytree as NumPy arrays,
independent of devices, and the SHA-256 of each leaf, since Orbax silently restores a flipped byte.
Restoring goes from the newest to the oldest and takes the first whose digests match.
"""

import concurrent.futures
import contextlib
import dataclasses
import hashlib
import logging
import os
import shutil
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import numpy as np

from jaxgan.common.errors import DISK_FULL, UserError


class Checkpoints:
    """The checkpoints of one run.

    Args:
      folder: created by the first save.
      kept: how many of the newest checkpoints are kept.
      say: reports a damaged checkpoint.
      read_only: whether to change nothing in the folder; another process may be writing there.
      regular: if not 0, the newest checkpoint whose step is a multiple of it is kept too.
    """

    def __init__(
        self,
        folder: str,
        kept: int,
        say: Callable[[str], None] = print,
        read_only: bool = False,
        regular: int = 0,
    ) -> None:
        self._folder, self._say = os.path.abspath(folder), say
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
        with self._full_disk_as_oserror():
            args = ocp.args.Composite(
                arrays=ocp.args.PyTreeSave(arrays),
                digests=ocp.args.JsonSave({name: digest(x) for name, x in arrays.items()}),
            )
            self._manager().save(step, args=args, force=True)

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
          UserError: if all checkpoints are damaged, or the newest whole one has other names, shapes
            or dtypes than `target`.
        """
        steps = self.steps()
        for step in [step for step in steps if most is not None and step > most]:
            self._manager().delete(step)
            steps.remove(step)
        for step in steps:
            try:
                arrays = self._read(step)
            except (OSError, ValueError, KeyError, TypeError) as error:
                self._say(f"checkpoint {step} is damaged and skipped: {str(error).splitlines()[0]}")
                if not self._read_only:
                    self._put_aside(step)
            else:
                return step, _unflatten(arrays, target, f"{self._folder}/{step}")
        if steps:
            where = "" if self._read_only else f" (they are in {self._folder}.damaged)"
            remedy = "the same training command starts again from step 0"
            raise UserError(f"{self._folder}: no checkpoint is whole{where}", remedy)
        return None

    def _put_aside(self, step: int) -> None:
        os.makedirs(f"{self._folder}.damaged", exist_ok=True)
        destination = f"{self._folder}.damaged/{step}"
        shutil.rmtree(destination, ignore_errors=True)
        shutil.move(f"{self._folder}/{step}", destination)
        self._manager().reload()

    def _read(self, step: int) -> dict[str, np.ndarray]:
        import orbax.checkpoint as ocp

        manager = self._manager()
        args = ocp.args.Composite(digests=ocp.args.JsonRestore())
        digests = manager.restore(step, args=args)["digests"]
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
            "custom networks must be passed as modules=…; runs of other versions cannot be read",
        )
    return jax.tree.unflatten(structure, [arrays[_name(path)] for path, _ in leaves])


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _flatten(tree: Any) -> dict[str, np.ndarray]:
    # Copied: on the CPU np.asarray may be a view of a buffer that is donated to the next step.
    return {_name(path): np.array(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
