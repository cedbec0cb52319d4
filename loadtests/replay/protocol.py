"""The words of the live contract that replay uses, and what it can be told by the server. Declared once, here."""

from dataclasses import dataclass, field
from typing import Any

PROTOCOL = 1
APP = "replay"

SESSION_READY = "session:ready"
AUTH_REFRESH = "auth:refresh"
AUTH_EXPIRING = "auth:expiring"
ERROR = "error"
SHARING_SET = "sharing:set"
TRACK_START = "track:start"
TRACK_STOP = "track:stop"
LOCATION_UPDATE = "location:update"
LOCATION_BATCH = "location:batch"
LOCATION_FRAME = "location:frame"
MAP_WATCH = "map:watch"
RATE_SET = "rate:set"

SIGN_IN_AGAIN = frozenset({"unauthenticated", "token_expired"})
"""Codes after which only another token helps."""
AGAIN_LATER = frozenset({"unavailable", "rate_limited", "internal"})
"""Codes after which the same message, with the same ids, is sent again."""
DEFAULT_RETRY_SECONDS = 0.5
_DEFAULT_BATCH_FIXES = 1000
_DEFAULT_EVENT_BYTES = 256 * 1024
_FIX_BYTES = 240  # a fix with all fields as JSON, generously


class ConnectionLost(Exception):
    """The socket ended before the answer: not known to be kept."""


class Refused(Exception):
    """The server answered with an error."""

    def __init__(self, code: str, message: str, retry_after_seconds: float | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.retry_after_seconds = DEFAULT_RETRY_SECONDS if retry_after_seconds is None else retry_after_seconds

    @property
    def passes(self) -> bool:
        """Whether sending the same again later may succeed."""
        return self.code in AGAIN_LATER or self.code in SIGN_IN_AGAIN


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket of the server for one event on one socket."""

    per_second: float
    burst: int


@dataclass(frozen=True, slots=True)
class Ready:
    """What `session:ready` says that replay obeys."""

    rider: int | None
    send_interval: float
    """Seconds between live updates."""
    batch_fixes: int
    """Most fixes in one batch, within the largest event too."""
    tick: float
    """Seconds of one tick, the unit of ages in frames."""
    rates: dict[str, Rate] = field(default_factory=dict)


def ready_of(payload: dict[str, Any]) -> Ready:
    """Read `session:ready`; limits that are not announced get careful defaults."""
    limits: dict[str, Any] = payload.get("limits") or {}
    event_bytes = int(limits.get("event_bytes", _DEFAULT_EVENT_BYTES))
    return Ready(
        rider=payload.get("rider"),
        send_interval=float(payload.get("send_interval_ms", 1000)) / 1000,
        batch_fixes=max(1, min(int(limits.get("batch_fixes", _DEFAULT_BATCH_FIXES)), event_bytes // _FIX_BYTES)),
        tick=float(limits.get("tick_ms", 200)) / 1000,
        rates={
            event: Rate(float(rate["per_second"]), int(rate["burst"]))
            for event, rate in (limits.get("rates") or {}).items()
        },
    )


def answer_of(answer: object) -> dict[str, Any]:
    """The body of an ack. Raises Refused when it is an error."""
    body = answer if isinstance(answer, dict) else {}
    error = body.get("error")
    if error is None:
        return body
    if not isinstance(error, dict):
        raise Refused("internal", "the error has no code")
    return _refuse(error)


def _refuse(error: dict[str, Any]) -> dict[str, Any]:
    wait = error.get("retry_after_ms")
    message = f"{error.get('message', '')}{' (field ' + str(error['field']) + ')' if error.get('field') else ''}"
    raise Refused(str(error.get("code", "internal")), message, None if wait is None else float(wait) / 1000)
