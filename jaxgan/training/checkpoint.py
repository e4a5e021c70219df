"""Checkpoints: the only room that knows Orbax.

Of several processes only the first has any. A checkpoint holds one pytree as NumPy arrays, free of
devices, and beside it the SHA-256 of each leaf (Orbax restores a flipped byte without a word).
Reading goes from the newest to the oldest and takes the first whose digests agree.
"""

import contextlib
import dataclasses
import errno
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

from jaxgan.common.errors import UserError

ARRAYS, DIGESTS = "arrays", "digests"


class Checkpoints:
    """The checkpoints of one run.

    Args:
      folder: made with the first save.
      kept: how many of the newest stay.
      say: where a damaged checkpoint is reported.
      read_only: whether to leave the folder as it is: another process may be writing there.
      regular: if not 0, the newest of a step that it divides stays besides.
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

    def _manager(self) -> Any:
        if self._opened is None:
            with warnings.catch_warnings():
                # Orbax's own imports warn about names that JAX is about to drop.
                warnings.simplefilter("ignore")
                import orbax.checkpoint as ocp
            # What Orbax logs of a damaged checkpoint is pages long; `restore` says it in a line.
            for name in ("absl", "asyncio"):
                logging.getLogger(name).setLevel(logging.CRITICAL)
            _hush_late_writers()
            # By itself, whatever other processes there are; so Orbax makes no folder either.
            only_here = ocp.options.MultiprocessingOptions(
                primary_host=jax.process_index(), active_processes={jax.process_index()}
            )
            if not self._read_only:
                os.makedirs(self._folder, exist_ok=True)
            self._opened = ocp.CheckpointManager(
                self._folder,
                item_names=(ARRAYS, DIGESTS),
                options=ocp.CheckpointManagerOptions(
                    read_only=True, create=False, multiprocessing_options=only_here
                )
                if self._read_only
                else ocp.CheckpointManagerOptions(
                    preservation_policy=self._kept,
                    create=False,
                    cleanup_tmp_directories=True,
                    multiprocessing_options=only_here,
                ),
            )
        return self._opened

    def save(self, step: int, tree: Any) -> None:
        """Starts to write `tree`; returns once the arrays are copied off the devices.

        Raises:
          OSError: with errno ENOSPC or EDQUOT if this or the save before it met a full disk, as
            `wait` and `close` do. What was there before stays.
        """
        import orbax.checkpoint as ocp

        arrays = _flatten(tree)
        with self._full_disk_as_oserror():
            self._manager().save(
                step,
                args=ocp.args.Composite(
                    **{
                        ARRAYS: ocp.args.PyTreeSave(arrays),
                        DIGESTS: ocp.args.JsonSave({k: digest(v) for k, v in arrays.items()}),
                    }
                ),
                force=True,
            )

    def wait(self) -> None:
        """Returns once all that was saved is on disk."""
        if self._opened is not None:
            with self._full_disk_as_oserror():
                self._opened.wait_until_finished()

    @contextlib.contextmanager
    def _full_disk_as_oserror(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, RuntimeError) as error:
            # The arrays' writer, in C++, has no errno: its ValueError quotes the system's words.
            for number in (errno.ENOSPC, errno.EDQUOT):
                if os.strerror(number) in str(error):
                    raise OSError(number, os.strerror(number), self._folder) from error
            raise

    def steps(self) -> list[int]:
        """The steps that have a complete checkpoint, the newest first."""
        if not os.path.isdir(self._folder):
            return []
        return sorted(self._manager().all_steps(), reverse=True)

    def restore(self, like: Any, most: int | None = None) -> tuple[int, Any] | None:
        """The newest checkpoint that is whole.

        Args:
          like: a tree of the same structure, of arrays or `jax.ShapeDtypeStruct`s.
          most: the checkpoints of later steps are deleted first.

        Returns:
          Its step and a tree of NumPy arrays, or None where there was never one. Damaged ones are
          named, skipped and put aside, so that the run can write them again.

        Raises:
          UserError: if there are checkpoints and none is whole, or one is whole but of other
            networks than `like`.
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
                return step, _unflatten(arrays, like, f"{self._folder}/{step}")
        if steps:
            where = "" if self._read_only else f" (they are in {self._folder}.damaged)"
            raise UserError(
                f"{self._folder}: no checkpoint is whole{where}",
                "the same training command begins anew",
            )
        return None

    def _put_aside(self, step: int) -> None:
        os.makedirs(f"{self._folder}.damaged", exist_ok=True)
        aside = f"{self._folder}.damaged/{step}"
        shutil.rmtree(aside, ignore_errors=True)
        shutil.move(f"{self._folder}/{step}", aside)
        self._manager().reload()

    def _read(self, step: int) -> dict[str, np.ndarray]:
        import orbax.checkpoint as ocp

        manager = self._manager()
        digests = manager.restore(
            step, args=ocp.args.Composite(**{DIGESTS: ocp.args.JsonRestore()})
        )[DIGESTS]
        restored = manager.restore(
            step,
            args=ocp.args.Composite(
                **{
                    ARRAYS: ocp.args.PyTreeRestore(
                        restore_args={n: ocp.RestoreArgs(restore_type=np.ndarray) for n in digests}
                    )
                }
            ),
        )[ARRAYS]
        arrays = {name: np.asarray(restored[name]) for name in digests}
        for name, array in arrays.items():
            if digests[name] != digest(array):
                raise ValueError(f"{name} does not match its SHA-256")
        return arrays

    def close(self) -> None:
        """Waits, and lets go of Orbax's threads."""
        opened, self._opened = self._opened, None
        if opened is not None:
            with self._full_disk_as_oserror():
                opened.close()


@dataclasses.dataclass(frozen=True)
class _Kept:
    """Which checkpoints stay, as Orbax asks: the `newest`, and the newest `regular` one."""

    newest: int
    regular: int

    def should_preserve(self, checkpoints: Sequence[Any], *, context: Any) -> list[bool]:
        del context
        steps = sorted(checkpoint.step for checkpoint in checkpoints)
        stay = set(steps[-self.newest :])
        stay |= set([step for step in steps if self.regular and step % self.regular == 0][-1:])
        return [checkpoint.step in stay for checkpoint in checkpoints]


def _hush_late_writers() -> None:
    """When one of Orbax's writers fails, those still under way report to an event loop that is
    closed by then: a traceback each, of nothing that `save` and `wait` do not raise themselves."""
    report = sys.unraisablehook
    if getattr(report, "__module__", None) == __name__:
        return

    def hushed(unraisable: Any) -> None:
        if str(unraisable.exc_value) != "Event loop is closed":
            report(unraisable)

    sys.unraisablehook = hushed


def digest(array: np.ndarray) -> str:
    """SHA-256 of an array's type, shape and bytes."""
    described = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(described + np.ascontiguousarray(array).tobytes()).hexdigest()


def _unflatten(arrays: dict[str, np.ndarray], like: Any, where: str) -> Any:
    """The arrays in the structure of `like`, all names, shapes and types the same."""
    paths, structure = jax.tree_util.tree_flatten_with_path(like)
    wanted = {_name(path): (tuple(leaf.shape), leaf.dtype) for path, leaf in paths}
    found = {name: (array.shape, array.dtype) for name, array in arrays.items()}
    differing = [name for name in wanted | found if wanted.get(name) != found.get(name)]
    if differing:
        raise UserError(
            f"{where} is of other networks: {differing[0]} and {len(differing) - 1} more differ",
            "networks of one's own are given as modules=…; a run of another version cannot be read",
        )
    return jax.tree.unflatten(structure, [arrays[_name(path)] for path, _ in paths])


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _flatten(tree: Any) -> dict[str, np.ndarray]:
    # A copy: on the CPU np.asarray may be a view of a buffer that the next step is given.
    return {_name(path): np.array(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
