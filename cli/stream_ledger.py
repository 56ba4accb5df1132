"""`./kol stream ledger`: every offset against its outcome and its row."""

from dataclasses import asdict

from cli.output import emit_json, emit_table, to_people
from runtime.broker import servers
from runtime.failure import DataQualityError
from runtime.settings import Settings
from runtime.topics import TopicsError
from streaming.ledger import Ledger, balance
from streaming.ledger_topics import LedgerUnreadableError

COUNTS = ("expected", "found", "missing", "waiting", "extra", "double", "wrong", "repeated", "rescored")
SHORT_ID = 8
NO_PARTITION = -1


class LedgerDifferenceError(DataQualityError):
    """Offsets, outcomes and rows do not balance; the table says where."""


def balance_stream(settings: Settings, *, as_json: bool, settled: bool) -> None:
    """Balance and print.

    Raises:
        LedgerDifferenceError: Something does not balance.
        TopicsError: Kafka cannot be read.
    """
    options = {name: secret.get_secret_value() for name, secret in settings.kafka_options.items()}
    with to_people().status("reading the topics") as shown:

        def report(topic: str, count: int) -> None:
            shown.update(f"{topic}: {count:,} messages")

        try:
            found = balance(servers(settings), options, settings.lake_uri, settled=settled, report=report)
        except LedgerUnreadableError as error:
            raise TopicsError.unreachable(servers(settings), str(error)) from error
    if as_json:
        emit_json(found.to_json())
    else:
        show(found)
    if not found.balances:
        bad = [f"{line.what} ({'; '.join(line.examples)})" for line in found.lines if not line.balances]
        raise LedgerDifferenceError(
            f"{len(bad)} lines do not balance: {', '.join(bad)}; see docs/operations.md, 'Ledger'"
        )


def show(ledger: Ledger) -> None:
    """Print the balances as a table, and what the events were when they arrived."""
    rows = [
        {
            "balance": "ok" if line.balances else "DIFFERS",
            "what": line.what,
            "topic": line.topic_id[:SHORT_ID],
            "part": None if line.partition == NO_PARTITION else line.partition,
            **{name: count or None for name, count in asdict(line).items() if name in COUNTS},
        }
        for line in ledger.lines
    ]
    emit_table(f"Ledger, read in {ledger.seconds} s", rows)
    said = ", ".join(f"{count:,} {name}" for name, count in ledger.dispositions.items())
    to_people().print(f"landed events: {said}")
