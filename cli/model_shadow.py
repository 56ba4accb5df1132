"""`./kol model shadow-report`: what would change if the version in Staging took Production's place."""

from typing import TYPE_CHECKING

import typer

from cli.context import AsJson, settings_of
from cli.output import emit_json, emit_table, to_people

if TYPE_CHECKING:
    from registry.shadow import Cost, ShadowTraffic


def shadow_report(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Compare the version in Staging with Production on the events that the stream scored with both.

    While a version is in Staging the stream scores every event with it too, into the table shadow_scores; no caller
    is answered with these scores. Shown are agreement, KOLs whose risk level would flip, how the scores drift, and
    what scoring costs.

    Example: ./kol model shadow-report
    """
    import msgspec

    from registry.shadow import cost, shadow_traffic, shadowed_profiles
    from registry.shelf import Shelf

    settings = settings_of(context)
    shelf = Shelf.at(settings.shelf)
    production, staged = shelf.production(), shelf.staged()
    if staged is None:
        _say_nothing_is_staged(as_json=as_json)
        return
    traffic = shadow_traffic(settings, staged.sha)
    names = {"production": production.maker().model_version, "shadow": staged.maker().model_version}
    in_use, candidate = (shelf.load(one.sha, settings.engine) for one in (production, staged))
    profiles = shadowed_profiles(settings, staged.sha)
    costs = cost(in_use, candidate, profiles) if len(profiles) else None
    if as_json:
        emit_json({**names, "traffic": msgspec.to_builtins(traffic), "cost": costs and msgspec.to_builtins(costs)})
        return
    emit_table(f"{names['shadow']} in the shadow of {names['production']}", _rows(traffic, costs))


def _say_nothing_is_staged(*, as_json: bool) -> None:
    if as_json:
        emit_json({"shadow": None})
    to_people().print("no version is in Staging; ./kol model stage VERSION puts one there")


def _rows(traffic: "ShadowTraffic", costs: "Cost | None") -> list[dict[str, object]]:
    """Describe the traffic."""
    seen: list[dict[str, object]] = [
        {"what": "events scored by both", "value": traffic.events},
        {"what": "KOLs", "value": traffic.kols},
        {"what": "from, to", "value": f"{traffic.since} {traffic.until}".strip() or None},
    ]
    if traffic.drift is None:
        return seen
    moved = traffic.drift
    return [
        *seen,
        {"what": "same risk level", "value": f"{1 - moved.flipped_share:.2%} of the events"},
        {"what": "KOLs whose risk level would flip", "value": traffic.kols_that_flip},
        {"what": "mean change of the score, points", "value": f"{moved.mean_change:+.2f}"},
        {"what": "size of the change, points", "value": f"{moved.mean_distance:.2f}, p95 {moved.p95_distance:.2f}"},
        {"what": "population stability index", "value": f"{moved.stability_index:.4f}"},
        {"what": "cost, microseconds a row", "value": costs and f"{costs.shadow} (Production {costs.production})"},
    ]
