"""Pictures of a model on labelled accounts, as PNG: what people look at before they trust a figure.

Labels are 1.0 untrustworthy, 0.0 trustworthy; `p` is the shown P(untrustworthy).
"""

import io
from collections.abc import Sequence
from typing import cast

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from features.profile import Column
from features.score import RISK_BOUNDS
from registry.evaluation import ECE_BINS, average_precision, calibration_error, roc_auc
from registry.learning_curve import Step
from registry.slices import Slice

INK = "#1f2933"
BLUE = "#2b6cb0"
GREY = "#9aa5b1"
TIERS = ("nano\n<1k", "micro\n<10k", "mid\n<100k", "macro\n<1M", "mega")
SIZE = (6.4, 4.4)
DOTS_PER_INCH = 110
LEAST_IN_BIN = 5
"""Accounts below which the share in a bin says nothing and is not drawn."""


def reliability(labels: Column, p: Column) -> bytes:
    """Draw the share of trustworthy accounts over the shown score, in 15 bins of equal width, and the size of each."""
    score = (1 - p) * 100
    edges = np.linspace(0, 100, ECE_BINS + 1)
    place = np.clip(np.digitize(score, edges) - 1, 0, ECE_BINS - 1)
    count = np.bincount(place, minlength=ECE_BINS)
    trusted = np.bincount(place, weights=1 - labels, minlength=ECE_BINS)
    shown = np.bincount(place, weights=score, minlength=ECE_BINS)
    enough = count >= LEAST_IN_BIN
    figure, axes = canvas("Does a score of 80 mean 80 of 100?", "shown trust score", "trustworthy accounts, %")
    axes.plot([0, 100], [0, 100], color=GREY, linestyle="--", label="perfect")
    axes.plot(
        shown[enough] / count[enough], 100 * trusted[enough] / count[enough], "o-", color=BLUE, label="this model"
    )
    axes.bar(
        edges[:-1],
        18 * count / count.max(),
        width=100 / ECE_BINS,
        align="edge",
        color=GREY,
        alpha=0.35,
        label="accounts",
    )
    axes.set(xlim=(0, 100), ylim=(0, 100))
    axes.legend(title=f"ECE {calibration_error(labels, p):.4f}", frameon=False)
    return png(figure)


def roc(labels: Column, p: Column) -> bytes:
    """Draw the ROC curve."""
    found, false = shares_found(labels, p)
    figure, axes = canvas("Telling them apart", "trustworthy accounts held back, %", "untrustworthy accounts found, %")
    axes.plot([0, 100], [0, 100], color=GREY, linestyle="--")
    axes.plot(100 * false, 100 * found, color=BLUE, label=f"ROC-AUC {roc_auc(labels, p):.4f}")
    axes.set(xlim=(0, 100), ylim=(0, 100))
    axes.legend(loc="lower right", frameon=False)
    return png(figure)


def precision_recall(labels: Column, p: Column) -> bytes:
    """Draw precision over recall."""
    found, false = shares_found(labels, p)
    true, wrong = found[1:] * labels.sum(), false[1:] * (len(labels) - labels.sum())
    figure, axes = canvas("Being right when warning", "untrustworthy accounts found, %", "warnings that are right, %")
    axes.axhline(100 * labels.mean(), color=GREY, linestyle="--", label="guessing")
    axes.plot(
        100 * found[1:],
        100 * true / (true + wrong),
        color=BLUE,
        label=f"PR-AUC {average_precision(labels, p):.4f}",
    )
    axes.set(xlim=(0, 100), ylim=(0, 103))
    axes.legend(loc="lower left", frameon=False)
    return png(figure)


def shares_found(labels: Column, p: Column) -> tuple[Column, Column]:
    """Return the shares of untrustworthy and of trustworthy accounts at or above each threshold, highest first."""
    order = np.argsort(-p, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(p[order]) != 0, [True]))
    poor = np.cumsum(labels[order])[ends]
    good = ends + 1 - poor
    return np.append(0.0, poor / poor[-1]), np.append(0.0, good / good[-1])


def importance(names: Sequence[str], gains: Column) -> bytes:
    """Draw each feature's share of the gain of all splits, largest first."""
    order = np.argsort(gains)
    figure = Figure(figsize=(6.4, 6.8), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    dress(axes, "What the model looks at", "share of the gain of all splits, %", "")
    axes.barh([names[position] for position in order], 100 * gains[order] / gains.sum(), color=BLUE)
    axes.tick_params(axis="y", labelsize=8)
    return png(figure)


def scores_by_tier(tiers: Column, p: Column) -> bytes:
    """Draw how the scores are spread in each follower tier, with the borders of the risk levels."""
    figure, axes = canvas("Scores by size of the account", "follower tier", "shown trust score")
    groups = [(1 - p[tiers == tier]) * 100 for tier in range(len(TIERS))]
    there = [position for position, group in enumerate(groups) if len(group) >= LEAST_IN_BIN]
    for bound, _ in RISK_BOUNDS[:-1]:
        axes.axhline(bound / 100, color=GREY, linewidth=0.8, linestyle="--")
    drawn = axes.violinplot([groups[position] for position in there], positions=there, showmedians=True, widths=0.8)
    for body in cast("list[PolyCollection]", drawn["bodies"]):
        body.set(facecolor=BLUE, alpha=0.45)
    axes.set_xticks(there, [f"{TIERS[position]}\nn={len(groups[position]):,}" for position in there])
    axes.set_ylim(0, 100)
    return png(figure)


def slices(parts: Sequence[Slice]) -> bytes:
    """Draw the ROC-AUC of each part of the accounts with its interval, and the number of accounts."""
    there = [part for part in reversed(parts) if "roc_auc" in part.figures]
    figure = Figure(figsize=(6.4, 0.4 * len(there) + 1.2), dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    dress(axes, "How well it tells them apart, by part", "ROC-AUC, with the interval of 95 %", "")
    for position, part in enumerate(there):
        found = part.figures["roc_auc"]
        axes.plot([found.low, found.high], [position, position], color=GREY, linewidth=3)
        axes.plot([found.value], [position], "o", color=BLUE)
    axes.set_yticks(range(len(there)), [f"{part.name.replace('_', ' ')} ({part.rows:,})" for part in there])
    axes.tick_params(axis="y", labelsize=8)
    return png(figure)


def learning_curve(steps: Sequence[Step]) -> bytes:
    """Draw quality over the number of accounts learned from."""
    figure, axes = canvas("Would more accounts help?", "accounts learned from", "ROC-AUC")
    rows = [step.rows for step in steps]
    axes.plot(rows, [step.seen for step in steps], "o--", color=GREY, label="on accounts it learned from")
    axes.plot(rows, [step.roc_auc for step in steps], "o-", color=BLUE, label="on accounts it has not seen")
    axes.set_xlim(0, None)
    axes.legend(frameon=False)
    return png(figure)


def canvas(title: str, across: str, up: str) -> tuple[Figure, Axes]:
    """Return an empty figure with one pair of axes."""
    figure = Figure(figsize=SIZE, dpi=DOTS_PER_INCH, layout="constrained")
    axes = figure.add_subplot()
    dress(axes, title, across, up)
    return figure, axes


def dress(axes: Axes, title: str, across: str, up: str) -> None:
    """Label the axes and take away what is no data."""
    axes.set_title(title, loc="left", color=INK, fontweight="bold")
    axes.set(xlabel=across, ylabel=up)
    axes.spines[["top", "right"]].set_visible(False)


def png(figure: Figure) -> bytes:
    """Return a figure as PNG."""
    out = io.BytesIO()
    figure.savefig(out, format="png")
    return out.getvalue()
