"""Why an input was refused: bad input is data, with a reason, never an exception and never a guess."""

from dataclasses import dataclass
from typing import Literal

Reason = Literal[
    "empty",
    "too_long",
    "unparsable",
    "not_an_object",
    "duplicate_key",
    "missing_field",
    "unknown_schema_version",
    "wrong_type",
    "not_finite",
    "negative",
    "too_large",
    "bad_identifier",
    "bad_time",
    "future_time",
    "unscorable",
]

MOST_SHOWN = 80
"""Characters of a bad value that a message repeats."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused input.

    Attributes:
        reason: One word for counting.
        field: The field at fault, or None when it is the whole input.
        detail: What was wrong, what was there and what to send instead.
    """

    reason: Reason
    field: str | None
    detail: str

    @classmethod
    def of(cls, reason: Reason, field: str | None, found: object, wanted: str) -> "Refusal":
        """Build the sentence from what was found and what is wanted.

        >>> Refusal.of("negative", "post_count", -3, "a whole number >= 0").detail
        'post_count is -3; send a whole number >= 0'
        """
        return cls(reason, field, f"{field or 'the input'} is {shown(found)}; send {wanted}")


def shown(found: object) -> str:
    """Write a bad value as a message repeats it: its beginning, without control characters.

    >>> shown("a" * 100_000)[-5:]
    'aa...'
    """
    # Cut before it is written out: a mebibyte of a value costs more to write than to refuse.
    text = repr(found[: MOST_SHOWN + 1] if isinstance(found, str | list | tuple) else found)
    return text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "..."
