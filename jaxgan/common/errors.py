"""A mistake of the user's, as one line and its remedy."""


class UserError(Exception):
    """A mistake of the user's: becomes one or two lines on stderr and exit status 2.

    Args:
      what: the thing that is wrong, named.
      remedy: what to do about it.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what}\n{remedy}" if remedy else what)
