"""The error that a user's mistake raises."""


class UserError(Exception):
    """A mistake of the user, or of the world: bad input, a missing file, a busy port.

    The message names what was wrong (file, topic or parameter), the value, and the
    remedy. Programs print it as one line, without a traceback, and exit with code 1.
    """
