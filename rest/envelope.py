"""What wraps every REST request: trace id, size limit, headers, duration, and the one answer to what nobody expected.

A plain ASGI middleware. It sets `state["trace_id"]`, and sends the headers that routes leave in `state["headers"]`.
"""

import time
from collections.abc import Mapping, MutableMapping

import structlog
from prometheus_client import CollectorRegistry, Histogram
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.kit.errors import Internal
from domain.kit.ids import is_trace_id, new_trace_id
from rest.problems import answer

_log = structlog.get_logger(__name__)

TRACE_HEADER = "X-Trace-Id"
_BUCKETS = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


class RestMetrics:
    """How long requests take, by method, route and status."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._seconds = Histogram(
            "throttlecove_api_request_duration_seconds",
            "Time from a REST request's headers to the start of its answer.",
            ("method", "route", "status_code"),
            buckets=_BUCKETS,
            registry=registry,
        )

    def observe(self, scope: Scope, status: int, seconds: float) -> None:
        """Note an answer. Paths that are no route count as one, so that nobody can fill the registry."""
        route = getattr(scope.get("route"), "path", "none")
        self._seconds.labels(scope["method"], route, str(status)).observe(seconds)


class Envelope:
    """Middleware around the routes; `body_bytes` is the largest body that is read, unless `larger` names the path."""

    def __init__(
        self, app: ASGIApp, *, metrics: RestMetrics, body_bytes: int, larger: Mapping[str, int] | None = None
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._body_bytes = body_bytes
        self._larger = larger or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        trace_id = _trace_id(Headers(scope=scope))
        scope.setdefault("state", {}).update(trace_id=trace_id, headers={})
        answering = _Answering(scope, send, self._metrics)
        with structlog.contextvars.bound_contextvars(trace_id=trace_id):
            try:
                await self._app(scope, self._limited(scope, receive), answering.send)
            except Exception as error:  # the edge: whatever it is becomes an answer and a log line
                _log.error("request_failed", path=scope["path"], error=type(error).__name__, exc_info=error)
                if answering.started:
                    raise
                problem = Internal("something went wrong here; tell us the trace id")
                await answer(scope["path"], trace_id, problem)(scope, receive, answering.send)

    def _limited(self, scope: Scope, receive: Receive) -> Receive:
        limit = self._larger.get(scope["path"], self._body_bytes)
        announced = Headers(scope=scope).get("content-length", "")
        taken = int(announced) if announced.isdecimal() else 0
        too_large = HTTPException(413, f"the body may have at most {limit} bytes")
        received = 0

        async def limited() -> Message:
            nonlocal received
            if taken > limit:
                raise too_large
            message = await receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise too_large
            return message

        return limited


class _Answering:
    """Sends the answer of one request, with the headers that belong to all of them."""

    def __init__(self, scope: Scope, send: Send, metrics: RestMetrics) -> None:
        self.started = False
        self._scope = scope
        self._send = send
        self._metrics = metrics
        self._began = time.perf_counter()

    async def send(self, message: MutableMapping[str, object]) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            headers = MutableHeaders(scope=message)
            state = self._scope["state"]
            headers[TRACE_HEADER] = state["trace_id"]
            headers.setdefault("Cache-Control", "no-store")
            headers.setdefault("X-Content-Type-Options", "nosniff")
            headers.update(state["headers"])
            self._metrics.observe(self._scope, int(str(message["status"])), time.perf_counter() - self._began)
        await self._send(message)


def _trace_id(headers: Headers) -> str:
    """The caller's trace id (a W3C `traceparent`, or our own header) when it is one, else a new one."""
    parts = headers.get("traceparent", "").split("-")
    for offered in (parts[1] if len(parts) == 4 else "", headers.get(TRACE_HEADER, "")):
        if is_trace_id(offered):
            return offered
    return new_trace_id()
