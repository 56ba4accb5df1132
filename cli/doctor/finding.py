"""What a check finds, and how a check is made so that it can fail without taking the others along."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Self

from runtime.failure import HandledError
from runtime.settings import Settings

Status = Literal["ok", "note", "warn", "fail"]
"""`note` = not there yet, or not in use: nothing is wrong. `warn` = works, but not as it should."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a check found: in words, and unless all is well, the cause and the command that mends it."""

    status: Status
    found: str
    cause: str | None = None
    mend: str | None = None

    @classmethod
    def ok(cls, found: str) -> Self:
        """All is well."""
        return cls("ok", found)

    @classmethod
    def note(cls, found: str, mend: str | None = None) -> Self:
        """Not there yet; `mend` is the command that brings it."""
        return cls("note", found, mend=mend)

    @classmethod
    def warn(cls, found: str, *, cause: str, mend: str) -> Self:
        """It works, but not as it should."""
        return cls("warn", found, cause, mend)

    @classmethod
    def fail(cls, found: str, *, cause: str, mend: str) -> Self:
        """It does not work."""
        return cls("fail", found, cause, mend)


@dataclass(frozen=True, slots=True)
class Check:
    """One check.

    Attributes:
        name: What is checked.
        look: Looks at it.
        mend: The command that mends it when looking itself fails.
    """

    name: str
    look: Callable[[Settings], Found]
    mend: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report."""

    status: Status
    check: str
    found: str
    cause: str | None
    mend: str | None


def examine(check: Check, settings: Settings) -> Finding:
    """Make a check; what it raises is a finding, too."""
    try:
        found = check.look(settings)
    except HandledError as error:
        found = Found.fail("it does not work", cause=str(error), mend=check.mend)
    except Exception as error:  # noqa: BLE001 - one broken part must not hide what is wrong with the others
        found = Found.fail(f"{type(error).__name__}: {error}", cause="unexpected; nobody foresaw this", mend=check.mend)
    return Finding(found.status, check.name, found.found, found.cause, found.mend)
