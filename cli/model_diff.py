"""`./kol model diff`: what changes from one version to another, in the model and for the accounts."""

from typing import TYPE_CHECKING

import typer

from cli.context import AsJson, settings_of
from cli.output import emit_json, emit_table
from cli.train import Dataset, announce, note_look
from cli.versions import VersionWord, find_version, open_models, row_of

if TYPE_CHECKING:
    from registry.comparison import Comparison


def diff(
    context: typer.Context,
    *,
    a: VersionWord,
    b: VersionWord,
    dataset: Dataset = None,
    as_json: AsJson = False,
) -> None:
    """Compare two versions: facts, figures, parameters, ranges; and how scores and risk levels move from A to B.

    The scores are those of the labelled accounts, the ROC-AUC that of their locked holdout.

    Example: ./kol model diff 2 3
    """
    import msgspec

    from registry.accounts import find_accounts
    from registry.comparison import compare

    settings = settings_of(context, dataset=dataset)
    registry = open_models(settings)
    old, new = find_version(registry, a), find_version(registry, b)
    accounts = find_accounts(settings).load()
    announce(accounts)
    found = compare(registry.package(old), registry.package(new), accounts, registry.engine)
    for version, figure in zip((old, new), found.roc_auc, strict=True):
        if figure is not None:
            note_look(settings.home, version.sha, accounts.digest, {"roc_auc": figure})
    history = registry.history()
    rows = {"a": row_of(old, history), "b": row_of(new, history)}
    if as_json:
        emit_json({**rows, "data": accounts.origin, **msgspec.to_builtins(found)})
        return
    emit_table("Versions", [{"": key, **row} for key, row in rows.items()])
    emit_table("Differences", [msgspec.to_builtins(one) for one in found.differences], ["part", "item", "a", "b"])
    emit_table("On the accounts", _rows(found))


def _rows(found: "Comparison") -> list[dict[str, object]]:
    """Describe the scores of the accounts."""
    moved = found.drift
    first, second = ("it learned these accounts" if one is None else f"{one:.5f}" for one in found.roc_auc)
    return [
        {"what": "roc_auc on the holdout, a", "value": first},
        {"what": "roc_auc on the holdout, b", "value": second},
        {"what": "accounts", "value": moved.accounts},
        {"what": "risk levels that flip", "value": f"{moved.flips} ({moved.flipped_share:.2%})"},
        {"what": "mean change of the score, points", "value": f"{moved.mean_change:+.2f}"},
        {"what": "mean size of the change, points", "value": f"{moved.mean_distance:.2f}"},
        {"what": "95th percentile of that", "value": f"{moved.p95_distance:.2f}"},
        {"what": "population stability index", "value": f"{moved.stability_index:.4f}"},
    ]
