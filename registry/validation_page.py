"""The validation report as a page that a person opens in MLflow: one table, no script, nothing from elsewhere."""

from html import escape

from registry.checks import Checks

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2rem;max-width:70rem}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;padding:.35rem .8rem;border-bottom:1px solid #ddd;vertical-align:top}"
    ".no{background:#fdecea}"
)


def as_page(title: str, checks: Checks) -> str:
    """Return the HTML of a verdict; every value in it is escaped."""
    rows = "".join(
        f'<tr class="{"yes" if line.passed else "no"}"><td>{"holds" if line.passed else "FAILS"}</td>'
        f"<td>{escape(line.name)}</td><td>{escape(str(line.value))}</td><td>{escape(line.bound)}</td></tr>"
        for line in checks.lines
    )
    verdict = "fit for use" if checks.passed else "not fit for use"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body><h1>{escape(title)}: {verdict}</h1>"
        f"<table><tr><th>verdict</th><th>check</th><th>value</th><th>bound</th></tr>{rows}</table></body></html>\n"
    )
