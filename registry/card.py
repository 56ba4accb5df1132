"""The model card: what a model is, what it was made from, how good it is and what it must not be used for."""

from collections.abc import Mapping

from registry.package import REFITTED, Manifest

CARD = """\
# Model card: {name}

`{sha}`{synthetic}

## What it says

A **trust assessment** of an account from ten facts of its profile: a score from 0 to 100, where 100 is trustworthy.
It learned from public labels as a proxy: accounts labelled `bot` stand for *untrustworthy*, those labelled `human` for
*trustworthy*. That the two ideas overlap is an assumption. No score says what an account is or who runs it.

**The raw model does not give the score.** The model file (LightGBM text, also what `models:/{name}/Production` loads)
gives a margin; its sigmoid is the *uncalibrated P(untrustworthy)*: high is bad. The score is
`100 * (1 - 1 / (1 + exp(-({slope:.6g} * margin + {intercept:.6g}))))`, rounded to hundredths. Do not invert it again.

## What it was made from

{training}

{data}

## How good it is

{measured_on}

{metrics}

By part of these accounts:

{parts}

`prevalence` is the share of untrustworthy accounts there; a brand's shortlist has another, and the share of warnings
that are right moves with it.

## What it has seen

A profile outside these ranges is scored and marked `out_of_range`. Likes are likes the account *gave*.

{ranges}

## Limits

- The youngest account it learned from is {youngest} days old: younger ones are beyond what it knows.
- Facts that are unknown stay unknown; training hid them at random, so the score moves towards the middle, not down.
- It learned from accounts of one platform at one time; on accounts created later it is much weaker.
- A person decides. Whoever is assessed must be able to contest it.
"""


REAL = """The data is *Twitter human bots*, CC BY-SA 3.0, ages as of the crawl on 2020-08-19; the data card says what it
lacks. The accounts themselves are not passed on with the model."""
GENERATED = "The accounts were generated."


def model_card(manifest: Manifest, sha: str) -> str:
    """Write the card of a packaged model as Markdown."""
    return CARD.format(
        name=manifest.name,
        sha=sha,
        synthetic="\n\n**Trained on generated accounts: for trying the system out, not for decisions.**"
        if manifest.synthetic
        else "",
        slope=manifest.calibration.slope,
        intercept=manifest.calibration.intercept,
        training=table("fact", manifest.training),
        measured_on=_measured_on(manifest),
        data=GENERATED if manifest.synthetic else REAL,
        metrics=table("figure", {name: f"{value:.4f}" for name, value in manifest.metrics.items() if "." not in name}),
        parts=_parts(manifest.metrics),
        ranges=table("fact", {name: f"{low:,.0f} to {high:,.0f}" for name, (low, high) in manifest.ranges.items()}),
        youngest=f"{manifest.ranges['account_age_days'][0]:,.0f}" if "account_age_days" in manifest.ranges else "?",
    )


def _parts(metrics: Mapping[str, float]) -> str:
    """Write the figures of the slices as a table, a line each; they are named `slice.PART.FIGURE`."""
    parts: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        if name.count(".") == 2:
            _, part, figure = name.split(".")
            parts.setdefault(part, {})[figure] = value
    if not parts:
        return "not measured"
    figures = list(next(iter(parts.values())))
    head = [f"| part | {' | '.join(figures)} |", "|---" * (len(figures) + 1) + "|"]
    lines = [f"| {part} | {' | '.join(f'{found[name]:.4f}' for name in figures)} |" for part, found in parts.items()]
    return "\n".join([*head, *lines])


def _measured_on(manifest: Manifest) -> str:
    """Say whose figures these are: a model that learned all accounts has none of its own."""
    if REFITTED not in manifest.training:
        return "On accounts that no training has seen:"
    return (
        f"This model learned all {manifest.training['rows']} accounts, so nothing is left to measure it on. These are "
        f"the figures of {manifest.training['metrics_from']}:"
    )


def table(what: str, rows: Mapping[str, object]) -> str:
    """Write names and values as a Markdown table."""
    lines = [f"| {what} | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    return "\n".join(lines)
