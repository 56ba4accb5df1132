"""The stream's status: lag over all partitions, read back as written, and drawn with a bar."""

import json

from rich.console import Console

from cli.stream_status import furthest, picture
from runtime.settings import Settings
from streaming.status import QueryStatus, StreamStatus, query_status, read_status, unread, write_status
from tests.support_cli import kol


def status_of(*behind: int) -> StreamStatus:
    """Return a status of queries that are so far behind."""
    queries = tuple(QueryStatus(f"q{n}", 3, 10, 50.0, 200, lag, 5.0, lag / 50) for n, lag in enumerate(behind))
    return StreamStatus("2026-01-01T00:00:00.000000Z", "m-v1", queries)


class Query:
    """A query with a progress as Spark gives it."""

    name = "scoring"

    def __init__(self, progress: dict[str, object] | None) -> None:
        """Take what it answers."""
        self.lastProgress = progress


def progress_of(read: str, latest: str) -> dict[str, object]:
    """Return a progress at these positions."""
    return {
        "batchId": 7,
        "numInputRows": 100,
        "inputRowsPerSecond": 20.0,
        "processedRowsPerSecond": 50.0,
        "batchDuration": 2000,
        "durationMs": {"addBatch": 1500, "latestOffset": 3},
        "sources": [{"endOffset": read, "latestOffset": latest}],
    }


def test_lag_is_summed_over_partitions_and_none_is_taken_off_it() -> None:
    assert unread('{"t": {"0": 5, "1": 9}}', '{"t": {"0": 7, "1": 8, "2": 4}}') == 6
    assert unread(None, '{"t": {"0": 7}}') == unread('{"t": {"0": 7}}', None) == 0


def test_a_status_says_rates_lag_and_where_the_time_went() -> None:
    found = query_status(Query(progress_of('{"t": {"0": 0, "1": 0}}', '{"t": {"0": 60, "1": 40}}')))  # type: ignore[arg-type]
    assert (found.behind, found.catch_up_seconds, found.input_per_second) == (100, 2.0, 20.0)
    assert found.parts_milliseconds["addBatch"] == 1500


def test_before_the_first_batch_nothing_is_known() -> None:
    found = query_status(Query(None))  # type: ignore[arg-type]
    assert (found.batch_id, found.behind, found.catch_up_seconds) == (None, 0, None)


def test_the_bar_is_full_at_the_largest_lag(settings: Settings) -> None:
    write_status(settings, status_of(0, 80))
    found = read_status(settings)
    assert found == status_of(0, 80)
    console = Console(width=160, record=True, file=None, quiet=False)
    with console.capture() as drawn:
        console.print(picture(found, found))
    bars = [line.count("━") for line in drawn.get().splitlines() if "q0" in line or "q1" in line]
    assert furthest(found) == 80
    assert len(bars) == 2
    assert "1.6" in drawn.get()


def test_the_verb_prints_what_the_file_says(settings: Settings) -> None:
    assert "never ran" in kol("stream", "status", settings=settings).err
    write_status(settings, status_of(3))
    said = kol("stream", "status", "--json", settings=settings)
    assert json.loads(said.out)["queries"][0]["behind"] == 3
    assert "m-v1" in kol("stream", "status", settings=settings).out
