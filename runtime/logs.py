"""Logs: one line per happening, pretty for people, JSON for machines, always on stderr."""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import Processor

from runtime.settings import Settings


def configure_logs(settings: Settings, stream: TextIO | None = None) -> None:
    """Set up structlog, and send what libraries log through it from warning level on.

    Data goes to stdout, logs never do, so that `--json` output can be piped.

    Args:
        settings: `log_level` and `log_format` are used; `auto` is pretty when `stream` is a terminal.
        stream: Where the lines go; stderr by default.
    """
    out = stream if stream is not None else sys.stderr
    shared = _shared_steps()
    ending = _pretty(out) if _wants_pretty(settings, out) else _json()
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=False,
    )
    _route_libraries(out, shared, ending)


def _wants_pretty(settings: Settings, out: TextIO) -> bool:
    return settings.log_format == "pretty" or (settings.log_format == "auto" and out.isatty())


def _shared_steps() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]


def _pretty(out: TextIO) -> list[Processor]:
    # Plain tracebacks: the pretty ones print local variables, and those may hold secrets.
    plain = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=out.isatty(), exception_formatter=plain)]


def _json() -> list[Processor]:
    return [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]


def _route_libraries(out: TextIO, shared: list[Processor], ending: list[Processor]) -> None:
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    # kafka-python calls it a warning when this process was busy with something else for a tenth of a second.
    logging.getLogger("kafka.net.selector").setLevel(logging.ERROR)
    logging.captureWarnings(capture=True)
