"""Figures and reports: the arithmetic of repeated measurements, and the one JSON form of every bench."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Peer:
    """What somebody else reached with the same work on the same machine."""

    name: str
    value: float


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        figure: What was measured.
        unit: Unit of `ours`, `peer` and `spread`.
        ours: Median of our runs.
        peer: The peer's value, or None when there is none.
        peer_name: Who the peer is.
        ratio: How many times better ours is than the peer; above 1 = ours is better; None without a peer.
        spread: Largest run minus smallest run.
        runs: How many runs.
    """

    figure: str
    unit: str
    ours: float
    peer: float | None
    peer_name: str | None
    ratio: float | None
    spread: float
    runs: int

    @classmethod
    def of(
        cls, figure: str, unit: str, values: Sequence[float], *, better: Better = "lower", peer: Peer | None = None
    ) -> Self:
        """Sum up the runs of one figure.

        >>> Figure.of("start", "s", [3.0, 1.0, 2.0], peer=Peer("other", 6.0)).ratio
        3.0

        Args:
            figure: What was measured.
            unit: Unit of the values.
            values: One per run, above 0.
            better: Whether less or more of it is better.
            peer: What to compare with.

        Raises:
            ValueError: There is no run.
        """
        if not values:
            message = f"{figure} has no run; a figure needs one at least"
            raise ValueError(message)
        ours = statistics.median(values)
        return cls(
            figure=figure,
            unit=unit,
            ours=ours,
            peer=peer.value if peer else None,
            peer_name=peer.name if peer else None,
            ratio=times_better(ours, peer.value, better) if peer else None,
            spread=round(max(values) - min(values), 6),
            runs=len(values),
        )


def times_better(ours: float, peer: float, better: Better) -> float | None:
    """Return how many times better ours is; None when one of them is 0 and there is no such number.

    >>> times_better(2.0, 3.0, "lower"), times_better(2.0, 3.0, "higher") < 1
    (1.5, True)
    """
    above, below = (peer, ours) if better == "lower" else (ours, peer)
    return above / below if above > 0 and below > 0 else None


@dataclass(frozen=True, slots=True)
class Measured:
    """What a bench returns: its figures, and the model they were measured with, if there was one."""

    figures: tuple[Figure, ...]
    model_version: str | None = None


@dataclass(frozen=True, slots=True)
class BenchReport:
    """One run of a bench, as it is printed and written.

    Attributes:
        bench: Its name.
        machine: Where it ran: processor, cores, memory, system, Python.
        model_version: The model it ran with, or None.
        date: When, RFC 3339 in UTC.
        figures: What was measured.
    """

    bench: str
    machine: str
    model_version: str | None
    date: str
    figures: tuple[Figure, ...]
