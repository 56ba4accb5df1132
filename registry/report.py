"""The report of a model on the locked holdout: one page with figures and pictures, and its card."""

import base64
import html
from dataclasses import dataclass
from pathlib import Path

import lightgbm
import numpy as np

from features.catalogue import NAMES
from features.formulas import followers_tier
from registry import plots
from registry.accounts import Accounts
from registry.card import model_card
from registry.ensemble import lightgbm_text
from registry.evaluation import shown_p
from registry.holdout import is_held_out
from registry.learning_curve import learning_curve
from registry.model import TrustModel, unpack
from registry.package import Package
from registry.prevalence import Warned, warned
from registry.recipe import recipe_told
from registry.slices import measure_slices
from runtime.files import write_whole

PAGE = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1f2933; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; }} td, th {{ padding: .2rem .8rem .2rem 0; text-align: left; }}
figure {{ margin: 1.5rem 0; }} img {{ max-width: 100%; }} figcaption {{ color: #52606d; max-width: 42rem; }}
.note {{ background: #fff3cd; padding: .6rem 1rem; }}
</style></head><body>
<h1>{title}</h1>
<p><code>{sha}</code> on {rows:,} accounts that no training has seen ({origin}).</p>{note}
<table><tr><th>figure</th><th>value</th></tr>{metrics}</table>
<h2>What a warning is worth</h2>
<p>On a list of which {prevalence:.0%} are untrustworthy (assumed: KOL_PREVALENCE).</p>
<table><tr><th>warn of scores below</th><th>untrustworthy found</th><th>trustworthy held back</th>
<th>warnings that are right</th></tr>
{warnings}</table>
{figures}
</body></html>
"""


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture of the report."""

    name: str
    caption: str
    content: bytes


def write_report(package: Package, accounts: Accounts, folder: Path, *, prevalence: float) -> Path:
    """Write `report.html`, `model-card.md` and the pictures of a model.

    Args:
        package: The model.
        accounts: Labelled accounts. Pictures and figures are of their locked holdout; the learning curve is of the
            others, fitted for it with the model's recipe.
        folder: Where they go; made if need be.
        prevalence: Share of the untrustworthy on a list, assumed to say what a warning is worth there.

    Returns:
        The page.
    """
    model = unpack(package)
    locked = is_held_out(accounts.ids)
    held_out = accounts.take(locked)
    steps = learning_curve(accounts.take(~locked), recipe_told(model.manifest.training))
    pictures = [*draw(model, package, held_out), Picture("learning-curve", CURVE, plots.learning_curve(steps))]
    for picture in pictures:
        write_whole(folder / f"{picture.name}.png", picture.content)
    write_whole(folder / "model-card.md", model_card(model.manifest, model.sha).encode())
    page = folder / "report.html"
    write_whole(page, page_of(model, held_out, pictures, prevalence).encode())
    return page


def draw(model: TrustModel, package: Package, held_out: Accounts) -> list[Picture]:
    """Draw all pictures."""
    labels, p = held_out.labels, shown_p(model, held_out.profiles)
    gains = np.asarray(lightgbm.Booster(model_str=lightgbm_text(package)).feature_importance("gain"), dtype=np.float64)
    return [
        Picture(
            "reliability",
            "Accounts with a shown score of 80 should be trustworthy in 80 of 100 cases.",
            plots.reliability(labels, p),
        ),
        Picture(
            "roc",
            "How many untrustworthy accounts are found at each share of trustworthy ones held back.",
            plots.roc(labels, p),
        ),
        Picture(
            "precision-recall",
            "How often a warning is right, as more accounts are warned of.",
            plots.precision_recall(labels, p),
        ),
        Picture(
            "scores-by-tier",
            "Large accounts are rarely labelled untrustworthy; the dashes are the borders of the risk levels.",
            plots.scores_by_tier(followers_tier(held_out.profiles), p),
        ),
        Picture(
            "slices",
            "Parts of the accounts that are large enough to be measured; behind each name the number of accounts.",
            plots.slices(measure_slices(held_out.profiles, labels, p)),
        ),
        Picture("importance", "Which features the trees split on with the most gain.", plots.importance(NAMES, gains)),
    ]


CURVE = (
    "LightGBM with the model's recipe on growing parts of the accounts, measured on a fifth of those not locked away."
)


def page_of(model: TrustModel, held_out: Accounts, pictures: list[Picture], prevalence: float) -> str:
    """Put the page together; it needs no other file and no network."""
    note = '<p class="note">SYNTHETIC DATA: generated accounts, no real ones.</p>' if held_out.synthetic else ""
    figures = "".join(
        f'<figure><img alt="{html.escape(picture.caption)}" src="data:image/png;base64,'
        f'{base64.b64encode(picture.content).decode()}"><figcaption>{html.escape(picture.caption)}</figcaption></figure>'
        for picture in pictures
    )
    metrics = "".join(
        f"<tr><td>{html.escape(name)}</td><td>{value:.4f}</td></tr>" for name, value in model.manifest.metrics.items()
    )
    return PAGE.format(
        title=html.escape(model.manifest.name),
        sha=model.sha,
        rows=len(held_out),
        origin=html.escape(Path(held_out.origin).name),
        note=note,
        metrics=metrics,
        prevalence=prevalence,
        warnings="".join(map(_warning_row, warned(held_out.labels, shown_p(model, held_out.profiles), prevalence))),
        figures=figures,
    )


def _warning_row(found: Warned) -> str:
    right = "-" if found.right is None else f"{found.right:.1%}"
    return f"<tr><td>{found.below:g}</td><td>{found.found:.1%}</td><td>{found.false:.1%}</td><td>{right}</td></tr>"
