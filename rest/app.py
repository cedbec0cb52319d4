"""The REST application: routes, errors and limits put together. The server mounts it; nobody else needs to.

Promises that every answer that is not a success is a problem (RFC 9457), and that `/openapi.json` says so; but for a
refused preflight, which only browsers read.
"""

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from domain.kit.errors import Problem
from rest import auth, sharing, track_files, track_points, track_shapes, tracks, users, zones
from rest.envelope import TRACE_HEADER, Envelope, RestMetrics
from rest.problems import PROBLEM_SCHEMA, on_http_exception, on_invalid_request, on_problem
from rest.services import RestServices

BODY_BYTES = 1024 * 1024
"""The largest body that is read, but for files."""
IMPORT_BYTES = 64 * 1024 * 1024
"""The largest GPX file."""
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_REQUEST_HEADERS = ("Authorization", "Content-Type", "If-None-Match", "traceparent", TRACE_HEADER)
_ANSWER_HEADERS = (
    "Content-Disposition",
    "ETag",
    "RateLimit-Limit",
    "RateLimit-Remaining",
    "RateLimit-Reset",
    "Retry-After",
    TRACE_HEADER,
)
_PREFLIGHT_SECONDS = 600
_ABOUT = (
    "Most paths need a token: sign in with `POST /v1/auth/login` (or `POST /v1/auth/register`), then choose"
    " **Authorize** and put in the `access_token` of the answer. It holds for `expires_in` seconds;"
    " `POST /v1/auth/refresh` gives the next one."
)


class RestApp(FastAPI):
    """FastAPI with the problem schema in its document."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made once."""
        if not self.openapi_schema:
            document = super().openapi()
            document.setdefault("components", {}).setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
            for path in document["paths"].values():
                for operation in path.values():
                    operation["summary"] = _first_sentence(operation["description"])
        return super().openapi()


def _first_sentence(description: str) -> str:
    return description.partition("\n")[0].partition(". ")[0].rstrip(".")


def create_rest(
    services: RestServices,
    registry: CollectorRegistry,
    *,
    version: str = "0.1.0",
    body_bytes: int = BODY_BYTES,
    import_bytes: int = IMPORT_BYTES,
    allowed_origins: Sequence[str] = ("*",),
) -> FastAPI:
    """The application with all routes under `/v1`; its metrics go to the registry.

    Browser pages of `allowed_origins` may use it with a token; cookies mean nothing here, so none are asked for.
    """
    app = RestApp(
        title="ThrottleCove",
        version=version,
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        exception_handlers={
            Problem: on_problem,
            HTTPException: on_http_exception,
            RequestValidationError: on_invalid_request,
        },
    )
    app.state.services = services
    larger = {track_files.IMPORT_PATH: import_bytes}
    app.add_middleware(Envelope, metrics=RestMetrics(registry), body_bytes=body_bytes, larger=larger)
    # Around the envelope, so that pages of other origins can read refusals, too.
    app.add_middleware(
        CORSMiddleware,
        allow_origins=allowed_origins,
        allow_methods=_METHODS,
        allow_headers=_REQUEST_HEADERS,
        expose_headers=_ANSWER_HEADERS,
        max_age=_PREFLIGHT_SECONDS,
    )
    for feature in (auth, users, zones, sharing, tracks, track_points, track_shapes, track_files):
        app.include_router(feature.router)
    return app
