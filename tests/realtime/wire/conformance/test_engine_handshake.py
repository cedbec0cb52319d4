"""How an Engine.IO session begins over either transport, and every way in which it is refused."""

from typing import Any

import pytest

from tests.realtime.wire.conformance.talking import ENGINE, SOCKET, Talking, talking

pytestmark = [pytest.mark.usefixtures("faultless"), pytest.mark.parametrize("path", [ENGINE, SOCKET])]

TRANSPORT_UNKNOWN = {"code": 0, "message": "Transport unknown"}
SESSION_UNKNOWN = {"code": 1, "message": "Session ID unknown"}
BAD_METHOD = {"code": 2, "message": "Bad handshake method"}
BAD_REQUEST = {"code": 3, "message": "Bad request"}
FORBIDDEN = 4
BAD_VERSION = {"code": 5, "message": "Unsupported protocol version"}


def opening_of(server: Talking, opening: dict[str, Any], upgrades: list[str]) -> None:
    """Exactly the five members, with what the server was told."""
    sid = opening.pop("sid")
    assert isinstance(sid, str)
    assert len(sid) >= 20
    assert opening == {"upgrades": upgrades, "pingInterval": 300, "pingTimeout": 200, "maxPayload": 1_000_000}


async def test_a_session_opens_by_polling(path: str) -> None:
    async with talking(path, ping_interval_ms=300, ping_timeout_ms=200) as server:
        answer = await server.request()
        assert answer.headers["content-type"] == "text/plain; charset=UTF-8"
        assert answer.headers["cache-control"] == "no-store"
        session = await server.session()
        opening_of(server, session.opening, ["websocket"])


async def test_a_session_opens_by_websocket(path: str) -> None:
    async with talking(path, ping_interval_ms=300, ping_timeout_ms=200) as server, server.websocket() as client:
        opening_of(server, await client.opened(), [])


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"EIO": None}, BAD_VERSION),
        ({"EIO": "abc"}, BAD_VERSION),
        ({"EIO": "3"}, BAD_VERSION),
        ({"EIO": ""}, BAD_VERSION),
        ({"transport": None}, TRANSPORT_UNKNOWN),
        ({"transport": ""}, TRANSPORT_UNKNOWN),
        ({"transport": "abc"}, TRANSPORT_UNKNOWN),
        ({"transport": "websocket"}, BAD_REQUEST),
        ({"sid": "nobody"}, SESSION_UNKNOWN),
        ({"sid": "nobody", "transport": "abc"}, TRANSPORT_UNKNOWN),
    ],
)
async def test_what_polling_is_refused_for(path: str, query: dict[str, str | None], error: dict[str, Any]) -> None:
    async with talking(path) as server:
        answer = await server.request(**query)
        assert (answer.status_code, answer.json()) == (400, error)
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"EIO": None}, BAD_VERSION),
        ({"EIO": "abc"}, BAD_VERSION),
        ({"transport": None}, TRANSPORT_UNKNOWN),
        ({"transport": "abc"}, TRANSPORT_UNKNOWN),
        ({"sid": "nobody"}, SESSION_UNKNOWN),
    ],
)
async def test_what_a_websocket_is_refused_for(path: str, query: dict[str, str | None], error: dict[str, Any]) -> None:
    async with talking(path) as server:
        assert await server.refusal(**query) == (400, error)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "HEAD"])
async def test_a_session_begins_with_get(path: str, method: str) -> None:
    async with talking(path) as server:
        answer = await server.request(method)
        assert answer.status_code == 400
        if method != "HEAD":
            assert answer.json() == BAD_METHOD


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_a_session_knows_two_methods(path: str, method: str) -> None:
    async with talking(path) as server:
        session = await server.session()
        answer = await server.request(method, sid=session.sid)
        assert (answer.status_code, answer.json()) == (400, BAD_REQUEST)
        assert not await session.gone()


async def test_a_session_of_polling_is_no_websocket_session(path: str) -> None:
    """Only a WebSocket handshake may name the other transport."""
    async with talking(path) as server:
        session = await server.session()
        answer = await server.request(sid=session.sid, transport="websocket")
        assert (answer.status_code, answer.json()) == (400, BAD_REQUEST)
        assert not await session.gone()
        async with server.websocket() as client:
            sid = (await client.opened())["sid"]
            answer = await server.request(sid=sid)
            assert (answer.status_code, answer.json()) == (400, BAD_REQUEST)
            answer = await server.request("POST", sid=sid, content="4no")
            assert (answer.status_code, answer.json()) == (400, BAD_REQUEST)


async def test_browsers_of_other_sites_are_refused(path: str) -> None:
    elsewhere = {"Origin": "https://elsewhere.example"}
    async with talking(path, allowed_origins=["https://rides.example"]) as server:
        answer = await server.request(headers=elsewhere)
        assert (answer.status_code, answer.json()["code"]) == (403, FORBIDDEN)
        status, body = await server.refusal(headers=elsewhere)
        assert (status, body["code"]) == (403, FORBIDDEN)
        assert (await server.request()).status_code == 200


async def test_browsers_of_allowed_sites_may_read_the_answers(path: str) -> None:
    site = {"Origin": "https://rides.example"}
    async with talking(path, allowed_origins=["https://rides.example"]) as server:
        for answer in (await server.request(headers=site), await server.request(headers=site, sid="nobody")):
            assert answer.headers["access-control-allow-origin"] == "https://rides.example"
            assert "origin" in answer.headers["vary"].lower()
            assert "access-control-allow-credentials" not in answer.headers


async def test_a_preflight_is_answered(path: str) -> None:
    asked = {
        "Origin": "https://rides.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    async with talking(path, allowed_origins=["https://rides.example"]) as server:
        answer = await server.request("OPTIONS", headers=asked)
        assert answer.status_code in (200, 204)
        assert answer.headers["access-control-allow-origin"] == "https://rides.example"
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert answer.headers["access-control-allow-headers"].lower() == "content-type"
        refused = await server.request("OPTIONS", headers=asked | {"Origin": "https://elsewhere.example"})
        assert "access-control-allow-origin" not in refused.headers
