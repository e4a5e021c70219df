"""The exception for mistakes of the user."""


class UserError(Exception):
    """A mistake of the user: the commands print it, without a traceback, and exit with status 2.

    Args:
      what: the mistake in one line, naming the thing that is wrong.
      remedy: what to do about it, one line.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}\n{remedy}" if remedy else what)
