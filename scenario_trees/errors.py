"""The one error type of the package."""


class TreeError(ValueError):
    """Input that no process or tree can have; the message names the field and the allowed range."""
