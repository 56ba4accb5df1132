"""The ledger stands alone: it shares no code with what it checks."""

import numpy as np
import pytest

from runtime.settings import ROOT
from streaming.ledger import Line, compare, count_repetitions
from streaming.ledger_read import OUTCOME_COLUMNS, Sheet
from streaming.ledger_topics import Topics
from tests.support_sources import imports_of

LEDGER = sorted((ROOT / "streaming").glob("ledger*.py"))
OWN = {"confluent_kafka", "deltalake", "pyarrow", "numpy", "msgspec"}


def test_the_ledger_imports_nothing_of_the_pipeline() -> None:
    assert len(LEDGER) == 4
    imported = {name for path in LEDGER for name in (found.module for found in imports_of(path))}
    ours = {
        name for name in imported if name.split(".")[0] in {"features", "runtime", "registry", "streaming", "kafka"}
    }
    assert {name for name in ours if not name.startswith("streaming.ledger")} == set()
    assert imported & OWN


@pytest.mark.parametrize(
    ("landed", "settled", "counts"),
    [
        ([0, 1, 2, 3], False, (0, 0, 0, 0)),
        ([0, 1], False, (0, 2, 0, 0)),
        ([0, 1], True, (2, 0, 0, 0)),
        ([0, 3], False, (2, 0, 0, 0)),
        ([0, 1, 1, 2, 3, 3], False, (0, 0, 0, 2)),
        ([0, 1, 2, 3, 7], False, (0, 0, 1, 0)),
        ([0, 1, 2, 3, 9], False, (0, 0, 0, 0)),
    ],
)
def test_rows_are_missing_waiting_extra_or_double(
    landed: list[int], *, settled: bool, counts: tuple[int, int, int, int]
) -> None:
    line = Line("rows", "T", 0)
    compare(line, np.arange(4), np.array(landed), also=np.array([9]), settled=settled)
    assert (line.missing, line.waiting, line.extra, line.double) == counts
    assert line.balances == (not line.missing and not line.extra and not line.double)


def outcomes(*rows: tuple[int, int, int]) -> Sheet:
    """Return outcomes of (offset, content, maker)."""
    return Sheet.of(OUTCOME_COLUMNS, [(0, 0, 0, 1, 0, offset, 0, content, maker) for offset, content, maker in rows])


def test_outcomes_are_repeated_rescored_or_contradict_each_other() -> None:
    line = Line("outcomes", "T", 0)
    scores = outcomes((1, 10, 1), (1, 10, 1), (2, 20, 1), (2, 21, 2), (3, 30, 1), (3, 31, 1), (4, 40, 1))
    count_repetitions(line, {"kol.scores": scores, "kol.rejected": outcomes((4, 41, 0), (5, 50, 0), (5, 50, 0))})
    assert (line.repeated, line.rescored, line.double) == (2, 1, 2)
    assert line.examples == ["outcomes that contradict each other: offset 3, 4"]


def test_the_ledger_reads_client_options_as_java_names_them() -> None:
    java = {
        "security.protocol": "SASL_SSL",
        "sasl.jaas.config": 'org.apache.Login required username="u" password="p\\"q";',
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": "ca.pem",
        "ssl.endpoint.identification.algorithm": "",
    }
    assert Topics.at("k:9", java).options == {
        "bootstrap.servers": "k:9",
        "security.protocol": "SASL_SSL",
        "sasl.username": "u",
        "sasl.password": 'p"q',
        "ssl.ca.location": "ca.pem",
        "ssl.endpoint.identification.algorithm": "none",
    }
