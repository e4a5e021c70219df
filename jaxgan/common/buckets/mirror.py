"""Which files of a local copy the bucket has; checkpoints count once all their files are there."""

import os
from collections.abc import Collection

from jaxgan.common.buckets.lock import LOCK
from jaxgan.common.buckets.store import Bucket

# An object beside a checkpoint's folder says that all its files are there.
_COMPLETE = ".complete"


class Mirror:
    """A local copy of a bucket's folder, and what of it the bucket has.

    Args:
      bucket: the folder.
      local: the local folder; the bucket's files are fetched into it.
    """

    def __init__(self, bucket: Bucket, local: str) -> None:
        self.bucket, self.local = bucket, local
        self._sent: dict[str, tuple[int, int]] = {}
        names = bucket.names()
        markers = [name for name in names if name.endswith(_COMPLETE)]
        self._completed = {name.removesuffix(_COMPLETE) for name in markers}
        for name in sorted(names):
            folder = _checkpoint(name)
            whole = folder is None or folder + _COMPLETE in names
            if whole and name != LOCK and not name.endswith(_COMPLETE):
                path = os.path.join(local, name)
                bucket.fetch(name, path)
                self._sent[name] = _stamp(path)

    def send(self) -> None:
        """Sends what has changed: first the files around the checkpoints, whose rows reach as far
        as they do, then each new checkpoint and the object that completes it."""
        names = _local_names(self.local)
        checkpoints: dict[str, set[str]] = {}
        for name in names:
            folder = _checkpoint(name)
            if folder is None:
                self._send_file(name)
            else:
                checkpoints.setdefault(folder, set()).add(name)
        for folder, parts in checkpoints.items():
            for name in sorted(parts):
                self._send_file(name)
            # A checkpoint that is being deleted meanwhile has lost files.
            left = set(_local_names(self.local, folder))
            if folder not in self._completed and left == parts <= self._sent.keys():
                self.bucket.write(folder + _COMPLETE, b"")
                self._completed.add(folder)
        self._remove(self._sent.keys() - set(names), checkpoints.keys())

    def _send_file(self, name: str) -> None:
        """Sends a file unless the bucket has it."""
        path = os.path.join(self.local, name)
        try:
            stamp = _stamp(path)
            if self._sent.get(name) == stamp:
                return
            self.bucket.send(path, name)
        except FileNotFoundError:
            return  # It has been replaced or removed; the next sending sees that.
        self._sent[name] = stamp

    def _remove(self, gone: set[str], left: Collection[str]) -> None:
        """Removes files, and first the objects that complete their checkpoints: without it a
        checkpoint does not count.

        Args:
          gone: the files' paths.
          left: the folders of the checkpoints that are still there.
        """
        folders = {folder for folder in map(_checkpoint, gone) if folder and folder not in left}
        self._completed -= folders
        self.bucket.remove([folder + _COMPLETE for folder in sorted(folders)] + sorted(gone))
        for name in gone:
            del self._sent[name]


def _checkpoint(name: str) -> str | None:
    """The checkpoint's folder, such as "checkpoints/500", that holds a file; None for others."""
    parts = name.split("/")
    is_part = len(parts) > 2 and parts[0] == "checkpoints" and parts[1].isdecimal()
    return "/".join(parts[:2]) if is_part else None


def _local_names(folder: str, within: str = "") -> list[str]:
    """The paths of all files that belong into a bucket, relative to the folder; only those within
    a part of it if that is given."""
    names = []
    for where, folders, files in os.walk(os.path.join(folder, within)):
        # Orbax writes a checkpoint under another name and renames it when it is complete.
        folders[:] = [name for name in folders if "orbax-checkpoint-tmp" not in name]
        names += [
            os.path.relpath(os.path.join(where, name), folder)
            for name in files
            if name != LOCK and not name.endswith(".part")
        ]
    return names


def _stamp(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns
