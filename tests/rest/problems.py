"""What every refusal of REST has to look like."""

from typing import Any

import httpx


def problem(answer: httpx.Response, status: int, code: str, field: str | None = None) -> dict[str, Any]:
    """The body of a refusal, after checking all that every refusal has."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["code"] == code, body
    assert body["status"] == status
    assert body["type"] == f"urn:throttlecove:problem:{code}"
    assert body["title"]
    assert body["detail"]
    assert body["instance"] == answer.request.url.path
    assert body["trace_id"] == answer.headers["x-trace-id"]
    assert len(body["trace_id"]) == 32
    if field is not None:
        assert body["field"] == field, body
    if "retry_after_ms" in body:
        assert int(answer.headers["retry-after"]) >= body["retry_after_ms"] / 1000 > 0
    return body
