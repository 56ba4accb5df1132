"""The command tree of `./kol`."""

from typing import Annotated

import typer

from cli import (
    batch,
    bench,
    data,
    demo,
    events,
    mlflow,
    model,
    report,
    retrain,
    score,
    serve,
    setup,
    stream,
    train,
    tune,
    up,
)
from cli import settings as settings_verb
from cli import test as test_verb
from cli.doctor import verb as doctor

VERSION = "0.1.0"


def show_version(wanted: bool) -> None:  # noqa: FBT001 - typer calls it so
    """Print the version and stop."""
    if wanted:
        typer.echo(f"kol {VERSION}")
        raise typer.Exit


def root(
    overrides: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Change a setting for this call.")
    ] = None,
    version: Annotated[bool, typer.Option("--version", callback=show_version, is_eager=True)] = False,  # noqa: FBT002
) -> None:
    """KOL Trust: can this influencer be trusted with your money?"""


def build_app() -> typer.Typer:
    """Put the verbs together, in the order in which `./kol --help` shows them."""
    app = typer.Typer(
        name="kol",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Example: ./kol demo",
    )
    app.callback()(root)
    app.command("demo")(demo.demo)
    app.command("setup")(setup.setup)
    app.command("up")(up.up)
    app.command("down")(up.down)
    app.command("status")(up.status)
    app.command("doctor")(doctor.doctor)
    app.add_typer(data.app, name="data")
    app.command("train")(train.train)
    app.command("tune")(tune.tune)
    app.command("retrain")(retrain.retrain)
    app.add_typer(model.build_verbs(), name="model")
    app.command("mlflow")(mlflow.mlflow)
    app.command("report")(report.report)
    app.add_typer(events.app, name="events")
    app.add_typer(batch.app, name="batch")
    app.add_typer(stream.build_verbs(), name="stream")
    app.command("score")(score.score)
    app.command("serve")(serve.serve)
    app.command("settings")(settings_verb.settings)
    app.command("test", context_settings=test_verb.PASS_ON)(test_verb.run_tests)
    app.command("bench")(bench.bench)
    return app
