"""Answers that a client may keep and ask about: a tag for what they are made of, and 304 when it is still the same."""

import hashlib
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

PRIVATE = {"Cache-Control": "private, no-cache"}
"""Only the rider's own client keeps it, and asks each time: a zone that was drawn since must hold at once."""


def tag_of(*parts: object) -> str:
    """An ETag that changes when one of the parts does."""
    return f'"{hashlib.sha256(repr(parts).encode()).hexdigest()[:32]}"'


def unchanged(request: Request, tag: str) -> Response | None:
    """The answer for a client that has this already (RFC 9110, section 13.1.2), or None."""
    known = {each.strip().removeprefix("W/") for each in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=PRIVATE | {"ETag": tag})
    return None
