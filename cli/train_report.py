"""What `./kol train` prints of a trained model: figures, slices with their intervals, reliability."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cli.output import Record, emit_table

if TYPE_CHECKING:
    from registry.eras import OutOfTime
    from registry.slices import Bin, Figure, Slice


def print_slices(slices: "Sequence[Slice]") -> None:
    """Print a row per slice; no figures where a slice has too few accounts of one label."""
    emit_table("Slices, each figure with its 95 % interval", [_slice_row(one) for one in slices])


def print_reliability(slices: "Sequence[Slice]") -> None:
    """Print the reliability table of all accounts: what was said and what was so."""
    emit_table("Reliability of P(untrustworthy)", [_bin_row(one) for one in slices[0].reliability])


def print_out_of_time(found: "OutOfTime") -> None:
    """Print how the recipe does on the era after."""
    emit_table("Out of time", [{"fact": name, "value": value} for name, value in era_record(found).items()])


def era_record(found: "OutOfTime") -> Record:
    """Return the out-of-time figures as one record."""
    return {
        "since": found.since,
        "earlier": found.earlier,
        "later": found.later,
        "roc_auc_mean": round(found.mean, 5),
        "roc_auc_each": [round(value, 5) for value in found.roc_aucs],
    }


def _slice_row(one: "Slice") -> Record:
    """Return one slice as a row."""
    figures = {name: _interval(one.figures.get(name)) for name in ("roc_auc", "ece15", "brier")}
    return {"slice": one.name, "accounts": one.rows, "untrustworthy": one.untrustworthy, **figures}


def _interval(figure: "Figure | None") -> str | None:
    """Write a figure and its interval."""
    return None if figure is None else f"{figure.value:.4f} ({figure.low:.4f} to {figure.high:.4f})"


def _bin_row(one: "Bin") -> Record:
    """Return one bin as a row."""
    return {
        "from": f"{one.low:.3f}",
        "accounts": one.rows,
        "mean_p": None if one.mean_p is None else f"{one.mean_p:.4f}",
        "share_untrustworthy": None if one.share is None else f"{one.share:.4f}",
    }
