"""The one exception that reaches the user."""


class Fail(Exception):
    """One sentence that says what is wrong, with the value and the limit; `scripts/dev` prints it and exits 1."""
