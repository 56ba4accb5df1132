"""Log lines: where they go and what they look like."""

import io
import json
import logging
import warnings
from collections.abc import Iterator

import pytest
import structlog

from runtime.logs import configure_logs
from runtime.settings import load_settings


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """Give logging back as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers.clear()
    yield
    logging.captureWarnings(capture=False)
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(out: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_without_a_terminal_a_line_is_json_with_its_fields() -> None:
    out = io.StringIO()
    configure_logs(load_settings(), out)
    structlog.get_logger().info("batch scored", kol_id="twitter:ü", rows=3)
    (line,) = lines(out)
    assert (line["event"], line["kol_id"], line["rows"], line["level"]) == ("batch scored", "twitter:ü", 3, "info")
    assert str(line["timestamp"]).endswith("Z")


def test_pretty_lines_are_for_people() -> None:
    out = io.StringIO()
    configure_logs(load_settings({"log_format": "pretty"}), out)
    structlog.get_logger().info("batch scored", rows=3)
    assert "batch scored" in out.getvalue()
    assert "rows=3" in out.getvalue()
    assert not out.getvalue().startswith("{")


def test_the_least_level_holds() -> None:
    out = io.StringIO()
    configure_logs(load_settings({"log_level": "warning"}), out)
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in lines(out)] == ["loud"]


def test_libraries_speak_from_warning_on_in_the_same_form() -> None:
    out = io.StringIO()
    configure_logs(load_settings({"log_level": "debug"}), out)
    logging.getLogger("kafka.net").info("connected")
    logging.getLogger("kafka.net").warning("lost %s", "node 1")
    (line,) = lines(out)
    assert (line["event"], line["level"], line["logger"]) == ("lost node 1", "warning", "kafka.net")


def test_a_warning_of_python_is_a_log_line() -> None:
    out = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure_logs(load_settings(), out)
        warnings.warn("old way", FutureWarning, stacklevel=1)
        logging.captureWarnings(capture=False)
    assert "old way" in str(lines(out)[0]["event"])


@pytest.mark.parametrize("log_format", ["json", "pretty"])
def test_an_error_keeps_its_trace_but_not_the_local_variables(log_format: str) -> None:
    out = io.StringIO()
    configure_logs(load_settings({"log_format": log_format}), out)
    private = "hunter2"
    try:
        int(f"x{len(private)}")
    except ValueError:
        structlog.get_logger().exception("failed")
    assert "ValueError" in out.getvalue()
    assert private not in out.getvalue()


def test_logs_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logs(load_settings({"log_format": "json"}))
    structlog.get_logger().info("hello")
    said = capsys.readouterr()
    assert (said.out, json.loads(said.err)["event"]) == ("", "hello")
