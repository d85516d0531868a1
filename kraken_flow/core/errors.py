"""The two ways a run can fail that a user is told about in one sentence."""


class UserError(Exception):
    """The user's input is wrong: the program prints the message and exits with code 2.

    The message says what is wrong, where (key path, or file and row) and what to do. Several problems found
    at once are joined by line breaks.
    """


class CheckFailed(Exception):  # noqa: N818 - not an error of the program: a check that the user asked for said no
    """A run or a check that the user asked for failed: the program prints the message and exits with code 1."""
