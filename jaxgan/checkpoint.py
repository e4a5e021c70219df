"""Checkpoints: the only room that knows Orbax.

A checkpoint holds one pytree as NumPy arrays, free of devices, and beside it the SHA-256 of each
leaf (Orbax restores a flipped byte without a word). Reading goes from the newest to the oldest and
takes the first whose digests agree.
"""

import hashlib
import os
import warnings
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

ARRAYS, DIGESTS = "arrays", "digests"


class Checkpoints:
    """The checkpoints of one run.

    Args:
      folder: made with the first save.
      kept: how many of the newest stay.
      say: where a damaged checkpoint is reported.
    """

    def __init__(self, folder: str, kept: int, say: Callable[[str], None] = print) -> None:
        self._folder, self._kept, self._say = os.path.abspath(folder), kept, say
        self._opened: Any = None

    def _manager(self) -> Any:
        if self._opened is None:
            with warnings.catch_warnings():
                # Orbax's own imports warn about names that JAX is about to drop.
                warnings.simplefilter("ignore")
                import orbax.checkpoint as ocp
            import logging

            logging.getLogger("absl").setLevel(logging.ERROR)
            self._opened = ocp.CheckpointManager(
                self._folder,
                item_names=(ARRAYS, DIGESTS),
                options=ocp.CheckpointManagerOptions(
                    max_to_keep=self._kept, create=True, cleanup_tmp_directories=True
                ),
            )
        return self._opened

    def save(self, step: int, tree: Any) -> None:
        """Starts to write `tree`; returns once the arrays are copied off the devices."""
        import orbax.checkpoint as ocp

        arrays = _flatten(tree)
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
            self._opened.wait_until_finished()

    def steps(self) -> list[int]:
        """The steps that have a complete checkpoint, the newest first."""
        if not os.path.isdir(self._folder):
            return []
        return sorted(self._manager().all_steps(), reverse=True)

    def restore(self, like: Any) -> tuple[int, Any] | None:
        """The newest checkpoint that is whole.

        Args:
          like: a tree of the same structure, of arrays or `jax.ShapeDtypeStruct`s.

        Returns:
          Its step and a tree of NumPy arrays, or None where there is none. Damaged ones are
          named, skipped and removed, so that the run can write them again.
        """
        damaged = []
        found = None
        for step in self.steps():
            try:
                found = step, self._read(step, like)
                break
            except (OSError, ValueError, KeyError, TypeError) as error:
                self._say(f"checkpoint {step} is damaged and skipped: {str(error).splitlines()[0]}")
                damaged.append(step)
        for step in damaged:
            self._manager().delete(step)
        return found

    def _read(self, step: int, like: Any) -> Any:
        import orbax.checkpoint as ocp

        paths, structure = jax.tree_util.tree_flatten_with_path(like)
        names = [_name(path) for path, _ in paths]
        restored = self._manager().restore(
            step,
            args=ocp.args.Composite(
                **{
                    ARRAYS: ocp.args.PyTreeRestore(
                        restore_args={n: ocp.RestoreArgs(restore_type=np.ndarray) for n in names}
                    ),
                    DIGESTS: ocp.args.JsonRestore(),
                }
            ),
        )
        arrays, digests = restored[ARRAYS], restored[DIGESTS]
        leaves = []
        for name, (_, wanted) in zip(names, paths, strict=True):
            array = np.asarray(arrays[name])
            if digests[name] != digest(array):
                raise ValueError(f"{name} does not match its SHA-256")
            if array.shape != wanted.shape or array.dtype != wanted.dtype:
                raise ValueError(f"{name} is {array.dtype}{array.shape}, not {wanted}")
            leaves.append(array)
        return jax.tree.unflatten(structure, leaves)

    def close(self) -> None:
        """Waits, and lets go of Orbax's threads."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None


def digest(array: np.ndarray) -> str:
    """SHA-256 of an array's type, shape and bytes."""
    described = f"{array.dtype.str}{array.shape}".encode()
    return hashlib.sha256(described + np.ascontiguousarray(array).tobytes()).hexdigest()


def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _flatten(tree: Any) -> dict[str, np.ndarray]:
    # A copy: on the CPU np.asarray may be a view of a buffer that the next step is given.
    return {_name(path): np.array(leaf) for path, leaf in jax.tree_util.tree_leaves_with_path(tree)}
