"""The lock that lets one process at a time write in a bucket."""

import os
import socket
import time
import uuid

from jaxgan.common.buckets.store import Bucket
from jaxgan.common.errors import UserError

LOCK = ".lock"
# Seconds after which a lock that is not renewed counts as a dead process's.
LEASE = 60.0


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
