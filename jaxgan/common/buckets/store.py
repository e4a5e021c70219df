"""The objects of a folder in an object store."""

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from jaxgan.common.errors import UserError

_EXTRAS = {"gs": "gcs", "s3": "s3"}


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
            self.files.exists(f"{self.root}/config.json")  # Whether it is there does not matter.

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


def _failures(scheme: str) -> tuple[type[Exception], ...]:
    """What a store's package raises if the store cannot be reached, or refuses."""
    if scheme == "s3":
        from botocore.exceptions import BotoCoreError, ClientError

        return OSError, BotoCoreError, ClientError
    from aiohttp import ClientError as ConnectionFailed
    from gcsfs.retry import HttpError
    from google.auth.exceptions import GoogleAuthError

    return OSError, ConnectionFailed, HttpError, GoogleAuthError
