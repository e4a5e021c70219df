"""Folders in object stores, gs://… and s3://…, as copies on the local disk.

Object stores cannot rename or append, and files, checkpoints and rows that are never half written
need both. A run in a bucket therefore works in a local copy, whose changes are sent to the bucket
while it works. The store is reached through fsspec: gcsfs or s3fs must be installed, and finds
credentials and endpoints as usual.
"""

import contextlib
import hashlib
import os
import shutil
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator
from typing import Any

from jaxgan.common.cache import cache_folder
from jaxgan.common.errors import UserError

_EXTRAS = {"gs": "gcs", "s3": "s3"}
LOCK = ".lock"
# An object beside a checkpoint's folder says that all its files are there.
_COMPLETE = ".complete"
# Seconds between two attempts to send changes, and between two renewals of the lock.
INTERVAL = 10.0
# Seconds after which a lock that is not renewed counts as a dead process's.
LEASE = 60.0


def is_remote(path: str) -> bool:
    """Whether a path is a folder in an object store."""
    return "://" in path


class Bucket:
    """A folder in an object store.

    Args:
      url: such as "gs://bucket/runs/one".

    Raises:
      UserError: if the store's kind is unknown, its package is not installed, or the store cannot
        be reached.
    """

    def __init__(self, url: str) -> None:
        scheme, _, path = url.partition("://")
        if scheme not in _EXTRAS:
            raise UserError(f"{url}: unknown kind of store", "there are gs:// and s3://")
        import fsspec

        # Otherwise gcsfs asks Google's control service for each bucket's kind.
        os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")
        self.url, self.root = url.rstrip("/"), path.strip("/")
        try:
            # Listings are never cached: another host may write.
            self.files: Any = fsspec.filesystem(
                scheme, use_listings_cache=False, skip_instance_cache=True
            )
            self._failures = _failures(scheme)
        except ImportError as error:
            raise UserError(f"{url}: {error}", f"pip install 'jaxgan[{_EXTRAS[scheme]}]'") from None
        with self._reachable():
            self.files.exists(f"{self.root}/{LOCK}")

    @contextlib.contextmanager
    def _reachable(self) -> Iterator[None]:
        try:
            yield
        except self._failures as error:
            why = (str(error) or type(error).__name__).splitlines()[0]
            what = f"{self.url} cannot be reached ({why})"
            remedy = "check the bucket's name, the credentials and the network"
            raise UserError(what, remedy) from error

    def names(self) -> set[str]:
        """The paths of all objects, relative to the folder. Raises UserError for one whose copy
        would lie outside of the local folder."""
        with self._reachable():
            found = self.files.find(self.root) if self.files.exists(self.root) else []
        names = {name[len(self.root) + 1 :] for name in found}
        for name in names:
            if os.path.isabs(name) or ".." in name.split("/"):
                what = f"{self.url}: a copy of the object {name} would lie outside of its folder"
                raise UserError(what, "remove the object")
        return names

    def read(self, name: str) -> bytes | None:
        """An object's content, or None if it does not exist."""
        with self._reachable():
            try:
                content: bytes = self.files.cat_file(f"{self.root}/{name}")
            except FileNotFoundError:
                return None
        return content

    def create(self, name: str, content: bytes) -> bool:
        """Writes an object unless it exists; returns whether it did."""
        with self._reachable():
            try:
                self.files.pipe_file(f"{self.root}/{name}", content, mode="create")
            except FileExistsError:
                return False
        return True

    def write(self, name: str, content: bytes) -> None:
        """Writes an object."""
        with self._reachable():
            self.files.pipe_file(f"{self.root}/{name}", content)

    def send(self, path: str, name: str) -> None:
        """Sends a local file; FileNotFoundError if it is not there."""
        with open(path, "rb") as file:
            content = file.read()
        self.write(name, content)

    def fetch(self, name: str, path: str) -> None:
        """Fetches an object into a local file."""
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with self._reachable():
            self.files.get_file(f"{self.root}/{name}", path)

    def remove(self, names: list[str]) -> None:
        """Removes objects."""
        with self._reachable():
            for name in names:
                with contextlib.suppress(FileNotFoundError):
                    self.files.rm_file(f"{self.root}/{name}")


class Lock:
    """The right to write in a bucket, held until `release` or until it is not renewed any more.

    Two processes that take over a dead one's lock at the same moment are told apart by reading it
    back after a while; a store with conditional writes (`Bucket.create`) lets one create it.

    Args:
      bucket: the folder.

    Raises:
      UserError: if another process renews the lock.
    """

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._owner = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4()}"
        self._renewals = 0
        # Read first, for stores that do not know conditional writes.
        if bucket.read(LOCK) is not None or not bucket.create(LOCK, self._content()):
            self._take_over()

    def _content(self) -> bytes:
        return f"{self._owner}\n{self._renewals}\n".encode()

    def _take_over(self) -> None:
        before = self._bucket.read(LOCK)
        until = time.monotonic() + LEASE
        while before is not None and time.monotonic() < until:
            time.sleep(min(1.0, LEASE / 4))
            now = self._bucket.read(LOCK)
            if now != before:
                if now is None:
                    break
                host, process = now.decode().split()[:2]
                what = f"process {process} on {host} is at work in {self._bucket.url}"
                raise UserError(what, "wait, or stop it")
        self._bucket.write(LOCK, self._content())
        time.sleep(min(1.0, LEASE / 4))
        if not self.is_held():
            what = f"another process has taken over {self._bucket.url}"
            raise UserError(what, "wait, or stop it")

    def is_held(self) -> bool:
        """Whether the lock is still this process's."""
        content = self._bucket.read(LOCK)
        return content is not None and content.decode().startswith(self._owner)

    def require_held(self) -> None:
        """Raises UserError if another process has taken the lock over."""
        if not self.is_held():
            what = f"another process has taken over {self._bucket.url}"
            raise UserError(what, "this one did not renew its lock in time")

    def renew(self) -> None:
        """Shows that this process is alive; UserError if another one has taken the lock over."""
        self.require_held()
        self._renewals += 1
        self._bucket.write(LOCK, self._content())

    def release(self) -> None:
        """Gives the lock back."""
        if self.is_held():
            self._bucket.remove([LOCK])


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
            new = [self._send_file(name) for name in sorted(parts)]
            # A checkpoint that is being deleted meanwhile has lost files.
            if any(new) and set(_local_names(self.local, folder)) == parts:
                self.bucket.write(folder + _COMPLETE, b"")
        self._remove(self._sent.keys() - set(names), checkpoints.keys())

    def _send_file(self, name: str) -> bool:
        """Sends a file unless the bucket has it; returns whether it was sent."""
        path = os.path.join(self.local, name)
        try:
            stamp = _stamp(path)
            if self._sent.get(name) == stamp:
                return False
            self.bucket.send(path, name)
        except FileNotFoundError:
            return False  # It has been replaced or removed; the next sending sees that.
        self._sent[name] = stamp
        return True

    def _remove(self, gone: set[str], left: Collection[str]) -> None:
        """Removes files, and first the objects that complete their checkpoints: without it a
        checkpoint does not count.

        Args:
          gone: the files' paths.
          left: the folders of the checkpoints that are still there.
        """
        folders = {folder for folder in map(_checkpoint, gone) if folder and folder not in left}
        self.bucket.remove([folder + _COMPLETE for folder in sorted(folders)] + sorted(gone))
        for name in gone:
            del self._sent[name]


def _failures(scheme: str) -> tuple[type[Exception], ...]:
    """What a store's package raises if the store cannot be reached, or refuses."""
    if scheme == "s3":
        from botocore.exceptions import BotoCoreError, ClientError

        return OSError, BotoCoreError, ClientError
    from aiohttp import ClientError as ConnectionFailed
    from gcsfs.retry import HttpError
    from google.auth.exceptions import GoogleAuthError

    return OSError, ConnectionFailed, HttpError, GoogleAuthError


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


@contextlib.contextmanager
def working_copy(url: str, say: Callable[[str], None] = print) -> Iterator[str]:
    """A local copy of a run's folder to work in, locked against other processes. Its changes are
    sent to the bucket all the time, and the last of them at the end, whatever ends the work. If
    these cannot be sent, the copy is kept.

    Args:
      url: the folder; a local one is handed on as it is.
      say: called with a line if changes cannot be sent, which is tried again, and at the end.

    Raises:
      UserError: if another process is at work there, or the bucket cannot be used.
    """
    if not is_remote(url):
        yield url
        return
    bucket = Bucket(url)
    lock = Lock(bucket)
    local, unsent = _scratch(), False
    try:
        # In a thread of its own, because files may take longer to transfer than the lock lasts.
        with _repeating(lock.renew, say):
            mirror = Mirror(bucket, local)

            def send() -> None:
                lock.require_held()
                mirror.send()

            unsent = True
            try:
                with _repeating(send, say):
                    yield local
            finally:
                send()
                unsent = False
                say(f"{url} has everything; {local} was its copy")
    finally:
        if unsent:
            say(f"{url} lacks the latest changes, which are in {local}")
        else:
            shutil.rmtree(local, ignore_errors=True)
        lock.release()


@contextlib.contextmanager
def _repeating(action: Callable[[], None], say: Callable[[str], None]) -> Iterator[None]:
    """Calls a function every `INTERVAL` seconds in a thread of its own; says its UserErrors."""
    stop = threading.Event()

    def repeat() -> None:
        while not stop.wait(INTERVAL):
            try:
                action()
            except UserError as error:
                say(f"{str(error).splitlines()[0]}; the next try is in {INTERVAL:.0f} s")

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@contextlib.contextmanager
def adding_copy(url: str, say: Callable[[str], None] = print) -> Iterator[str]:
    """A local copy of a run's folder to read and to add files to, which are sent at the end;
    another process may be at work in the bucket.

    Args:
      url: the folder; a local one is handed on as it is.
      say: called with a line when the files are sent.
    """
    if not is_remote(url):
        yield url
        return
    local = _scratch()
    try:
        mirror = Mirror(Bucket(url), local)
        yield local
        mirror.send()
        say(f"{url} has everything; {local} was its copy")
    finally:
        shutil.rmtree(local, ignore_errors=True)


@contextlib.contextmanager
def reading_copy(url: str) -> Iterator[str]:
    """A local copy of a run's folder to read; another process may be at work in the bucket.

    Args:
      url: the folder; a local one is handed on as it is.
    """
    if not is_remote(url):
        yield url
        return
    local = _scratch()
    try:
        Mirror(Bucket(url), local)
        yield local
    finally:
        shutil.rmtree(local, ignore_errors=True)


def fetched(url: str, part: str = "") -> str:
    """A local copy, kept in the cache, of a file or a folder that does not change, such as data.

    Args:
      url: the file or folder; a local path is returned as it is.
      part: only the files of the folder whose paths begin so.

    Raises:
      UserError: if there is no such file or folder.
    """
    if not is_remote(url):
        return url
    folder, _, last = url.rstrip("/").rpartition("/")
    bucket = Bucket(url)
    names = sorted(name for name in bucket.names() if name.startswith(part))
    digest = hashlib.sha256(bucket.url.encode()).hexdigest()[:16]
    local = os.path.join(cache_folder(), "fetched", digest)
    if names == [""]:  # The name of a file.
        bucket, names = Bucket(folder), [last]
    if not names:
        raise UserError(f"{url}: there is nothing", "check the name")
    for name in names:
        path = os.path.join(local, name)
        if not os.path.exists(path):
            bucket.fetch(name, path + ".part")
            os.replace(path + ".part", path)
    return os.path.join(local, last) if names == [last] else local


def _scratch() -> str:
    return tempfile.mkdtemp(prefix="jaxgan-")
