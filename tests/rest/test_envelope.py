"""What every answer has: a trace id, no caching, a measured duration; and what nobody expected is a problem too."""

import json

import httpx
import pytest
import structlog
from prometheus_client import CollectorRegistry
from starlette.responses import StreamingResponse

from rest.app import create_rest
from tests.rest.conftest import Rest
from tests.rest.problems import problem


async def test_a_fault_of_ours_is_a_problem_and_one_log_line(rest: Rest) -> None:
    async def broken() -> None:
        raise ZeroDivisionError("what only the log may say")

    rest.app.add_api_route("/v1/broken", broken)
    with structlog.testing.capture_logs() as logs:
        answer = await rest.client.get("/v1/broken?token=x")

    body = problem(answer, 500, "internal")
    assert "only the log" not in answer.text
    assert [each["event"] for each in logs] == ["request_failed"]
    assert "token" not in json.dumps(logs, default=str)
    assert body["trace_id"]


async def test_a_fault_in_the_middle_of_an_answer_breaks_it_off(rest: Rest) -> None:
    async def some() -> object:
        yield b"the beginning"
        raise ZeroDivisionError

    async def broken() -> StreamingResponse:
        return StreamingResponse(some())  # type: ignore[arg-type]

    rest.app.add_api_route("/v1/broken", broken)
    with pytest.raises(ZeroDivisionError):
        await rest.client.get("/v1/broken")


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(
    ("headers", "kept"),
    [
        ({"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}, True),
        ({"X-Trace-Id": TRACE}, True),
        ({"X-Trace-Id": "x\r"}, False),
        ({"X-Trace-Id": "<script>" * 4}, False),
        ({"traceparent": TRACE}, False),
        ({}, False),
    ],
    ids=str,
)
async def test_a_trace_id_is_taken_over_when_it_is_one(rest: Rest, headers: dict[str, str], kept: bool) -> None:
    answer = await rest.client.get("/v1/users/profile", headers=headers)

    assert (answer.headers["x-trace-id"] == TRACE) is kept
    assert problem(answer, 401, "unauthenticated")


async def test_durations_are_measured_by_route_not_by_path(rest: Rest) -> None:
    await rest.sign_in()
    for path in ("/v1/nothing", "/v1/else", "/v1/auth/sessions/7"):
        await rest.client.delete(path)

    counted = {
        tuple(sample.labels.values()): sample.value
        for metric in rest.registry.collect()
        for sample in metric.samples
        if sample.name == "throttlecove_api_request_duration_seconds_count"
    }
    assert counted == {
        ("POST", "/v1/auth/register", "201"): 1,
        ("DELETE", "none", "404"): 2,
        ("DELETE", "/v1/auth/sessions/{session_id}", "401"): 1,
    }


async def test_a_host_header_cannot_break_an_answer(rest: Rest) -> None:
    for host in ("[", "a b", "é", ""):
        answer = await rest.client.get("/v1/nothing", headers={"Host": host.encode("latin-1")})
        assert answer.json()["code"] == "not_found"


async def test_the_application_works_when_mounted(rest: Rest) -> None:
    from starlette.applications import Starlette  # noqa: PLC0415 - the outer application of this test only
    from starlette.routing import Mount  # noqa: PLC0415

    inner = create_rest(rest.app.state.services, CollectorRegistry())
    outer = Starlette(routes=[Mount("/", inner)])
    async with httpx.AsyncClient(transport=httpx.ASGITransport(outer), base_url="http://test") as client:
        answer = await client.get("/v1/nothing")
        assert problem(answer, 404, "not_found")["instance"] == "/v1/nothing"
        problem(await client.post("/v1/auth/login", content=b"{"), 422, "invalid")
        assert (await client.get("/openapi.json")).status_code == 200
