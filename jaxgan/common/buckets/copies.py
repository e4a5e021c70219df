"""Local copies of a bucket's folder: to work in, to add files to, or to read."""

import contextlib
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator

from jaxgan.common.buckets.lock import Lock
from jaxgan.common.buckets.mirror import Mirror
from jaxgan.common.buckets.store import Bucket, is_remote
from jaxgan.common.cache import cache_folder
from jaxgan.common.errors import UserError
from jaxgan.common.files import part_of

# Seconds between two attempts to send changes, and between two renewals of the lock.
INTERVAL = 10.0


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
            part = part_of(path)
            try:
                bucket.fetch(name, part)
                os.replace(part, path)
            finally:
                with contextlib.suppress(FileNotFoundError):
                    os.remove(part)
    return os.path.join(local, last) if names == [last] else local


def _scratch() -> str:
    return tempfile.mkdtemp(prefix="jaxgan-")
