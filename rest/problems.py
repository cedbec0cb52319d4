"""Every error of REST as problem details (RFC 9457), from the one error table of `domain.kit.errors`.

Promises that what a client sent is never echoed, apart from the names of fields, and that the answer is always JSON.
"""

import json
import math
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from domain.kit.errors import ERRORS, Code, Invalid, Problem, Retry, TooLarge

_log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
_TYPE = "urn:throttlecove:problem:"
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_MOST_ERRORS = 20
_LONGEST_FIELD = 100
_SENTENCES = {
    "missing": "is required",
    "string_type": "must be text",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must have at least {min_length} entries",
    "too_long": "must have at most {max_length} entries",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "greater_than_equal": "must be at least {ge}",
    "greater_than": "must be more than {gt}",
    "less_than_equal": "must be at most {le}",
    "less_than": "must be less than {lt}",
    "uuid_type": "must be a UUID",
    "uuid_parsing": "must be a UUID",
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
}
"""What the types of pydantic's errors mean for whoever reads them after the name of the field."""

PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "Problem details (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance", "code", "trace_id"],
    "properties": {
        "type": {"type": "string", "description": f"`{_TYPE}` and the code."},
        "title": {"type": "string", "description": "What this kind of problem means."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What was wrong with this request, for a developer."},
        "instance": {"type": "string", "description": "The path that was asked for."},
        "code": {"type": "string", "enum": [code.value for code in Code]},
        "field": {"type": "string", "description": "The field at fault, where there is one."},
        "reason": {"type": "string", "description": "Tells refusals of one code apart, where a program may need it."},
        "errors": {
            "type": "array",
            "description": "Every field at fault, where there are several checks.",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
        "trace_id": {"type": "string", "description": "Names this request in the server's logs."},
        "retry_after_ms": {"type": "integer", "description": "When to try again, where that helps."},
    },
}


def documented(*codes: Code) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route for the OpenAPI document: these codes, and those that every route can have."""
    by_status: dict[int | str, list[Code]] = {}
    for code in dict.fromkeys((*codes, Code.RATE_LIMITED, Code.INTERNAL, Code.UNAVAILABLE)):
        by_status.setdefault(ERRORS[code].status, []).append(code)
    return {status: documented_as(status, *together) for status, together in by_status.items()}


def documented_as(status: int | str, *codes: Code) -> dict[str, Any]:
    """The error response of one status, with an example of each of its codes."""
    examples = {
        code.value: {"summary": ERRORS[code].title, "value": _example(code) | {"status": status}} for code in codes
    }
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}
    description = "; ".join(f"`{code}`: {ERRORS[code].title}" for code in codes)
    return {"description": description, "content": {MEDIA_TYPE: content}}


def _example(code: Code) -> dict[str, Any]:
    row = ERRORS[code]
    example = {
        "type": f"{_TYPE}{code}",
        "title": row.title,
        "status": row.status,
        "detail": "a sentence about this request, for a developer",
        "instance": "/v1/…",
        "code": code.value,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    }
    return example | ({"retry_after_ms": 2000} if row.retry is Retry.LATER and code is not Code.INTERNAL else {})


def answer(
    scope_path: str,
    trace_id: str,
    problem: Problem,
    *,
    status: int | None = None,
    errors: list[dict[str, str]] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """The response for a problem; `status` overrides the table's for what only HTTP knows (405)."""
    status = status or problem.row.status
    body: dict[str, Any] = {
        "type": f"{_TYPE}{problem.code}",
        "title": problem.row.title,
        "status": status,
        "detail": problem.message,
        "instance": scope_path,
        "code": problem.code.value,
        "trace_id": trace_id,
    }
    sent = dict(headers or {})
    if problem.field is not None:
        body["field"] = problem.field
    if problem.reason is not None:
        body["reason"] = problem.reason
    if errors:
        body["errors"] = errors
    if problem.retry_after_ms is not None:
        body["retry_after_ms"] = problem.retry_after_ms
        sent["Retry-After"] = str(max(1, math.ceil(problem.retry_after_ms / 1000)))
    if status == HTTPStatus.UNAUTHORIZED:
        sent["WWW-Authenticate"] = 'Bearer realm="throttlecove"'
    return Response(json.dumps(body), status, sent, MEDIA_TYPE)  # ASCII: nothing in a path or field can break it


async def on_problem(request: Request, error: Problem) -> Response:
    """A refusal by the domain."""
    return _answer(request, error)


async def on_http_exception(request: Request, error: HTTPException) -> Response:
    """What Starlette and FastAPI refuse by themselves: no such path, no such method, a body that cannot be read."""
    status = error.status_code
    headers = dict(error.headers or {})
    match status:
        case HTTPStatus.BAD_REQUEST:
            return _answer(request, Invalid("the body cannot be read as JSON", field="body"), headers=headers)
        case HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
            return _answer(request, TooLarge(error.detail), headers=headers)
        case HTTPStatus.NOT_FOUND:
            return _answer(request, _of(Code.NOT_FOUND, "there is no such path"), headers=headers)
        case HTTPStatus.METHOD_NOT_ALLOWED:
            problem = _of(Code.UNSUPPORTED, f"this path does not answer {request.method}")
            return _answer(request, problem, status=status, headers=headers | {"Allow": _allowed(request)})
    code = Code.INTERNAL if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Code.UNSUPPORTED
    return _answer(request, _of(code, str(error.detail)), status=status, headers=headers)


async def on_invalid_request(request: Request, error: RequestValidationError) -> Response:
    """A body, path or query that does not fit its schema; every field at fault is named."""
    errors = [_field_error(each) for each in error.errors()[:_MOST_ERRORS]]
    first = errors[0]
    return _answer(request, Invalid(first["message"], field=first["field"]), errors=errors)


def _allowed(request: Request) -> str:
    """Every method that the path answers; the router names those of the first of its routes only."""
    routes = request.app.router.routes
    answered = (
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes)
    )
    return ", ".join(answered)


def _field_error(error: dict[str, Any]) -> dict[str, str]:
    where = [str(part) for part in error["loc"]]
    if error["type"] == "json_invalid":
        return {"field": "body", "message": f"is not JSON: {error['ctx']['error']} at character {where[-1]}"}
    if where == ["body"]:
        return {"field": "body", "message": "must be a JSON object, sent as content-type application/json"}
    field = ".".join(where[1:]) or where[0]
    printable = field.encode("ascii", "backslashreplace").decode()
    return {"field": printable[:_LONGEST_FIELD], "message": _message(error)}


def _message(error: dict[str, Any]) -> str:
    if error["type"] == "extra_forbidden":
        return "is not a field of this request"
    if sentence := _SENTENCES.get(error["type"]):
        return _in_words(sentence, error.get("ctx", {}))
    message: str = error["msg"]
    return message.removeprefix("Value error, ")


def _in_words(sentence: str, limits: dict[str, Any]) -> str:
    """The sentence with its limits; what there is one of is not in the plural."""
    words = sentence.format_map(limits)
    return words.replace(" 1 characters", " 1 character").replace(" 1 entries", " 1 entry")


def _of(code: Code, message: str) -> Problem:
    kind = next(each for each in Problem.__subclasses__() if each.code is code)
    return kind(message)


def _answer(request: Request, problem: Problem, **more: Any) -> Response:
    return answer(request.scope["path"], request.state.trace_id, problem, **more)
