"""Mistakes of the user, and errors of files that are such mistakes."""

import contextlib
import errno
from collections.abc import Iterator

# An OSError with one of these numbers reaches the command, which then exits with status 1.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


class UserError(Exception):
    """A mistake of the user: the commands print it, without a traceback, and exit with `status`.

    Args:
      what: the mistake in one line, naming the thing that is wrong.
      remedy: what to do about it, one line.
    """

    status = 2

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}\n{remedy}" if remedy else what)


class ProcessDied(UserError):
    """A process that this one needs has died."""

    status = 1


@contextlib.contextmanager
def file_errors(path: str, remedy: str = "") -> Iterator[None]:
    """Turns an OSError into a UserError that names the file, or else `path`, unless the disk is
    full."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        what = f"{error.filename or path}: {error.strerror or error}"
        raise UserError(what, remedy) from error
