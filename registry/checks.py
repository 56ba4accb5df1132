"""Named checks with value and bound, and the verdict they add up to; what validation and the gate speak in."""

import msgspec
from msgspec import Struct


class Check(Struct, frozen=True):
    """One line of a verdict.

    Attributes:
        name: What was checked.
        value: What was found.
        bound: What is wanted, as people write it: `> 80`, `none`.
        passed: Whether it holds.
    """

    name: str
    value: str | float | int
    bound: str
    passed: bool

    def __str__(self) -> str:
        """Say the line in words."""
        return f"{self.name} is {self.value}, wanted {self.bound}"


class Rules(Struct, frozen=True):
    """What a new model must be to replace the one in Production.

    Attributes:
        margin: ROC-AUC that it must gain.
        most_flips: Largest share of accounts whose risk level may change, 0 to 1.
        least_shadow: Events that it must have scored in the shadow, where it has scored any.
    """

    margin: float = 0.01
    most_flips: float = 1.0
    least_shadow: int = 1_000


class Checks(Struct, frozen=True):
    """The lines of a verdict; it passes when each of them does."""

    lines: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether every check holds."""
        return all(line.passed for line in self.lines)

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that do not hold."""
        return tuple(line for line in self.lines if not line.passed)

    def why_not(self) -> str:
        """Name the lines that failed; empty when none did."""
        return "; ".join(map(str, self.failed))

    def __str__(self) -> str:
        """Say the whole verdict in words, what failed first."""
        if self.passed:
            return f"passed: {'; '.join(map(str, self.lines))}"
        held = "; ".join(str(line) for line in self.lines if line.passed)
        return f"refused: {self.why_not()}; held: {held}"

    def as_data(self) -> dict[str, object]:
        """Return the verdict for JSON."""
        return {"passed": self.passed, "lines": msgspec.to_builtins(self.lines)}
