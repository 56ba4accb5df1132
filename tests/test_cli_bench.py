"""`./kol bench`: honest arithmetic over runs, one JSON form, and the demo's steps as figures."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from benchmarks.catalogue import BENCHES, Bench
from benchmarks.demo import DemoFailedError, run_demo, step_figures
from benchmarks.machine import describe_machine
from benchmarks.report import Figure, Measured, Peer
from cli import bench
from features.instant import parse_instant
from runtime.settings import Settings
from tests.support_cli import kol

KEYS = ["figure", "unit", "ours", "peer", "peer_name", "ratio", "spread", "runs"]


def counted(_: Settings, runs: int) -> Measured:
    """Measure how often it is run."""
    values = [float(run + 1) for run in range(runs)]
    return Measured(
        (Figure.of("counting", "s", values, peer=Peer("slow", 6.0)), Figure.of("alone", "s", values)), "m-v1"
    )


@pytest.fixture(autouse=True)
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let reports go to a folder of the test, and let there be a bench that is quick."""
    monkeypatch.setattr(bench, "RESULTS", tmp_path / "results")
    monkeypatch.setitem(BENCHES, "counting", Bench("how often it is run", 3, counted))
    return tmp_path / "results"


def test_a_figure_is_the_median_of_its_runs_and_their_spread() -> None:
    figure = Figure.of("x", "s", [9.0, 1.0, 2.0, 3.0])
    assert (figure.ours, figure.spread, figure.runs) == (2.5, 8.0, 4)
    assert (figure.peer, figure.peer_name, figure.ratio) == (None, None, None)


def test_above_1_is_ours_better_whichever_way_better_is() -> None:
    seconds = Figure.of("x", "s", [2.0], peer=Peer("other", 6.0))
    rate = Figure.of("x", "rows/s", [2.0], better="higher", peer=Peer("other", 6.0))
    assert seconds.ratio == 3.0
    assert rate.ratio == pytest.approx(1 / 3)


def test_there_is_no_ratio_to_nothing() -> None:
    assert Figure.of("x", "s", [0.0], peer=Peer("other", 6.0)).ratio is None
    assert Figure.of("x", "s", [1.0], peer=Peer("other", 0.0)).ratio is None


def test_a_figure_without_a_run_is_refused() -> None:
    with pytest.raises(ValueError, match="has no run"):
        Figure.of("x", "s", [])


def test_the_report_is_one_object_printed_and_written(results: Path, settings: Settings) -> None:
    ran = kol("bench", "counting", "--json", settings=settings)
    report = ran.json
    assert list(report) == ["bench", "machine", "model_version", "date", "figures"]
    assert [list(figure) for figure in report["figures"]] == [KEYS, KEYS]
    assert (report["bench"], report["model_version"]) == ("counting", "m-v1")
    assert (report["figures"][0]["ours"], report["figures"][0]["ratio"], report["figures"][0]["runs"]) == (2.0, 3.0, 3)
    assert parse_instant(report["date"]) <= datetime.now(UTC)
    assert json.loads((results / "counting.json").read_text()) == report


def test_people_get_a_table_and_choose_the_number_of_runs(results: Path, settings: Settings) -> None:
    ran = kol("bench", "counting", "--runs", "5", settings=settings)
    assert ran.code == 0
    assert "counting" in ran.out
    assert json.loads((results / "counting.json").read_text())["figures"][0]["runs"] == 5


def test_an_unknown_bench_is_refused_with_those_there_are(results: Path, settings: Settings) -> None:
    ran = kol("bench", "nosuchbench", settings=settings)
    assert ran.code == 1
    assert "there are: demo" in ran.err
    assert not results.exists()


def test_without_a_name_it_lists_what_it_can_measure(settings: Settings) -> None:
    assert "demo" in [row["bench"] for row in kol("bench", "--json", settings=settings).json]


def test_the_demos_steps_become_figures_and_a_total() -> None:
    figures = step_figures([{"train": 4.0, "stream": 1.0}, {"train": 6.0, "stream": 3.0}])
    assert [(figure.figure, figure.ours, figure.runs) for figure in figures] == [
        ("train", 5.0, 2),
        ("stream", 2.0, 2),
        ("total", 7.0, 2),
    ]


def test_a_demo_that_fails_is_no_figure(settings: Settings, tmp_path: Path) -> None:
    broken = settings.model_copy(update={"dataset": tmp_path / "nosuch.csv"})
    with pytest.raises(DemoFailedError, match=r"nosuch\.csv"):
        run_demo(broken, tmp_path / "demo")


def test_the_machine_is_named_with_cores_memory_and_python() -> None:
    machine = describe_machine()
    assert all(word in machine for word in (" cores, ", " GB, ", "Python 3."))
