"""The root of every error that the system expects: a sentence for people, and the exit code of the command."""

from typing import ClassVar


class HandledError(Exception):
    """Something that can go wrong went wrong; the message says what, what was there and what to do."""

    exit_code: ClassVar[int] = 1


class GateRefusedError(HandledError):
    """A gate kept a model out; the message says which line failed."""

    exit_code: ClassVar[int] = 3


class DataQualityError(HandledError):
    """Data is missing, late or implausible; nothing was published."""

    exit_code: ClassVar[int] = 4
