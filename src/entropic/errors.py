"""The one root of every failure: a sentence, a remedy and an exit code.

Concrete errors live beside what raises them; they derive from the classes here, which fix the exit codes
of the command line.
"""

from __future__ import annotations

__all__ = ["ClusterError", "EntropicError", "LawError", "ResourceError", "StoreError", "UsageError"]


class EntropicError(Exception):
    """A failure that a user can act on.

    Parameters
    ----------
    message : str
        What was found and what was expected, in one sentence.
    remedy : str
        What to do about it.
    """

    exit_code = 4

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message} Remedy: {self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[type[EntropicError], tuple[object, ...]]:
        return (type(self), (self.message, self.remedy))


class UsageError(EntropicError):
    """Bad usage or configuration."""

    exit_code = 2


class LawError(EntropicError):
    """A law of physics does not hold."""

    exit_code = 3


class ResourceError(EntropicError):
    """Memory, disk or another resource is not there."""

    exit_code = 4


class ClusterError(EntropicError):
    """The cluster failed."""

    exit_code = 4


class StoreError(EntropicError):
    """The store is damaged or is not one of ours."""

    exit_code = 5
