"""An API over filled views, as it is at one moment, for the tests of the serving layer."""

from datetime import datetime

from fastapi import FastAPI

from features.score import Score, result_fields
from registry.shelf import Activation
from runtime.settings import Settings
from serving.app import create_app
from serving.lmdb_reader import LmdbReader
from serving.models import ServedModel
from tests.support_views import NOON, a_score, fill_views, from_batch, later

ODD_NAMES = ["twitter:nasa", "a/b/trust", "ümlaut ?&=#%", "x" * 128, "..", "a:b:c"]


def views_of(settings: Settings, activation: Activation) -> None:
    """Fill the views: KOLs of both layers, of one, with odd names, and of an older model."""

    def by_production(kol_id: str, seconds: float) -> Score:
        maker = activation.maker()
        return a_score(kol_id, later(seconds), model_sha=maker.model_sha, model_version=maker.model_version)

    old = a_score("old:model", NOON, **result_fields(1))
    nightly = [from_batch(by_production(name, 0)) for name in ODD_NAMES] + [from_batch(old)]
    streamed = [by_production("twitter:nasa", 60), by_production("only:realtime", 60)]
    fill_views(settings, nightly, streamed, later(70))


def api_at(settings: Settings, now: datetime) -> FastAPI:
    """Build the API as it is at one moment."""
    return create_app(settings, LmdbReader.open(settings), ServedModel(settings, lambda: now), lambda: now)
