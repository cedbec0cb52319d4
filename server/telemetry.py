"""Logs and metrics: structlog (JSON in production, console in development) and one Prometheus registry a process.

Logs carry the trace id of the request or socket they belong to. Known names of secrets and positions are masked, as a
last line of defence: nobody logs them in the first place.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import msgspec
import structlog
from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector

from server.settings import Settings, unknown_variables

_MASKED = frozenset(
    ("token", "access_token", "refresh_token", "password", "authorization", "latitude", "longitude", "fix", "body")
)


def start_logging(settings: Settings) -> None:
    """What a command does first: configure the logs, and warn of variables that have no effect."""
    configure_logging(settings)
    for sentence in unknown_variables():
        structlog.get_logger(__name__).warning("unknown_setting", detail=sentence)


def configure_logging(settings: Settings) -> None:
    """Send structlog and the standard library's loggers to standard error, in one format."""
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and settings.production)
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _mask,
    ]
    render: list[structlog.types.Processor] = (
        [structlog.processors.ExceptionRenderer(_without_locals()), structlog.processors.JSONRenderer(_as_json)]
        if as_json
        else [
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
        ]
    )
    structlog.configure(
        processors=[*shared, *render],
        logger_factory=_Lines,
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(settings.log_level.upper())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *render],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for chatty in ("uvicorn.access", "uvicorn.error", "engineio", "socketio", "alembic", "sqlalchemy.engine"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _Lines(structlog.WriteLogger):
    """Writes our own lines without the standard library's records: each connect has one, and a storm has thousands."""

    def __init__(self, name: str = "") -> None:
        super().__init__(sys.stderr)
        self.name = name


def _as_json(event: object, **_: object) -> str:
    return msgspec.json.encode(event, enc_hook=repr).decode()


def _without_locals() -> structlog.tracebacks.ExceptionDictTransformer:
    """Tracebacks that say where, and leave out the variables there: those hold tokens and positions."""
    return structlog.tracebacks.ExceptionDictTransformer(show_locals=False)


def _mask(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for name in _MASKED.intersection(event):
        event[name] = "(masked)"
    return event


def create_registry() -> CollectorRegistry:
    """A registry with what every process reports of itself: memory, CPU, open files, garbage collection."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry
