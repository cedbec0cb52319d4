"""Messages by both transports: text, binary, many at once, what is no packet, and how a session ends."""

import asyncio
import base64
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.realtime.wire.conformance.talking import ENGINE, SOCKET, Talking, talking
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

NO_PACKETS = ["", "abc", "7", "9", "0{}", "2", "b!!!", "bAQI", "4a\x1e", "\x1e4a", "4a\x1eabc"]


# Long-polling


@pytest.mark.parametrize(
    "body",
    [
        "4hello",
        "4",
        "4test1\x1e4test2\x1e4test3",
        "4hello\x1ebAQIDBA==",
        "b",
        "4über den Pass – 🏍",
        "\x1e".join(f"4{number}" for number in range(500)),
        "4" + "x" * 200_000,
        "b" + base64.b64encode(bytes(range(256)) * 400).decode(),
    ],
    ids=["text", "empty", "several", "mixed", "no bytes", "unicode", "many", "long", "binary"],
)
async def test_a_payload_comes_back(body: str) -> None:
    async with talking() as server:
        session = await server.session()
        posted = await session.post(body)
        assert (posted.status_code, posted.text) == (200, "ok")
        polled = await session.poll()
        assert (polled.status_code, polled.text) == (200, body)
        assert polled.headers["content-type"] == "text/plain; charset=UTF-8"
        assert polled.headers["cache-control"] == "no-store"


async def test_a_poll_waits_for_something_to_say() -> None:
    async with talking() as server:
        session = await server.session()
        async with session.poll_under_way() as poll:
            assert not poll.done()
            await session.post("4now")
            assert (await poll).text == "4now"


async def test_a_body_in_chunks_is_one_payload() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        yield b"4a\x1e"
        yield b"4b"

    async with talking() as server:
        session = await server.session()
        await server.request("POST", sid=session.sid, content=chunks())
        assert await session.polled() == ["4a", "4b"]


@pytest.mark.parametrize("body", NO_PACKETS)
async def test_what_is_no_payload_ends_the_session(body: str) -> None:
    async with talking() as server:
        session = await server.session()
        answer = await session.post(body)
        assert (answer.status_code, answer.json()) == (400, {"code": 3, "message": "Bad request"})
        assert (await session.poll()).status_code == 400
        assert await session.gone()


async def test_what_is_not_utf_8_ends_the_session() -> None:
    async with talking() as server:
        session = await server.session()
        assert (await server.request("POST", sid=session.sid, content=b"4\xff")).status_code == 400
        assert await session.gone()


async def test_a_payload_that_is_wrong_ends_a_poll_that_waits() -> None:
    async with talking() as server:
        session = await server.session()
        async with session.poll_under_way() as poll:
            await session.post("abc")
            assert (await poll).status_code in (200, 400)
        assert await session.gone()


@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_over_the_limit_ends_the_session(chunked: bool) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(20):
            yield b"4" * 1000

    async with talking(frame_bytes=10_000) as server:
        session = await server.session()
        answer = await server.request("POST", sid=session.sid, content=chunks() if chunked else b"4" * 10_001)
        assert (answer.status_code, answer.json()["code"]) == (413, 3)
        assert await session.gone()


async def test_a_body_at_the_limit_is_welcome() -> None:
    async with talking(frame_bytes=10_000) as server:
        session = await server.session()
        assert (await session.post("4" * 10_000)).text == "ok"
        assert await session.polled() == ["4" * 10_000]


@pytest.mark.parametrize("path", [ENGINE, SOCKET])
async def test_two_polls_at_once_end_the_session(path: str) -> None:
    async with talking(path) as server:
        session = await server.session()
        async with session.poll_under_way() as first:
            second = await session.poll()
            assert (second.status_code, second.json()) == (400, {"code": 3, "message": "Bad request"})
            assert ((await first).status_code, (await first).text) == (200, "1")
        assert (await session.poll()).status_code == 400


@pytest.mark.parametrize("path", [ENGINE, SOCKET])
async def test_two_posts_at_once_end_the_session(path: str) -> None:
    rest = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"4a\x1e"
        await rest.wait()
        yield b"4b"

    async with talking(path) as server:
        session = await server.session()
        first = asyncio.create_task(server.request("POST", sid=session.sid, content=slow()))
        await server.round_trips()
        second = await session.post("4c")
        assert (second.status_code, second.json()) == (400, {"code": 3, "message": "Bad request"})
        assert await session.gone()
        rest.set()
        await first


@pytest.mark.parametrize("path", [ENGINE, SOCKET])
async def test_a_poll_whose_client_left_ends_the_session(path: str) -> None:
    async with talking(path) as server:
        session = await server.session()
        async with httpx.AsyncClient() as leaving:
            poll = asyncio.create_task(leaving.get(server.url(sid=session.sid)))
            await server.round_trips()
            poll.cancel()
            await asyncio.gather(poll, return_exceptions=True)
        await eventually(session.gone)


@pytest.mark.parametrize("path", [ENGINE, SOCKET])
async def test_a_client_closes_its_session_by_post(path: str) -> None:
    """The poll under way ends with a NOOP, not with the CLOSE that the client itself sent."""
    async with talking(path) as server:
        session = await server.session()
        async with session.poll_under_way() as poll:
            assert (await session.post("1")).text == "ok"
            assert ((await poll).status_code, (await poll).text) == (200, "6")
        assert (await session.poll()).status_code == 400
        assert await session.gone()


async def test_nothing_after_a_close_is_heard() -> None:
    async with talking() as server:
        session = await server.session()
        async with session.poll_under_way() as poll:
            await session.post("1", "4late")
            assert (await poll).text == "6"


async def test_requests_of_one_session_share_a_connection_or_not() -> None:
    async with talking() as server:
        session = await server.session()
        async with httpx.AsyncClient() as other:
            await other.post(server.url(sid=session.sid), content="4a")
        await session.post("4b")
        assert await session.polled() == ["4a", "4b"]


# WebSocket


@pytest.mark.parametrize(
    "message", ["4hello", "4", "4über 🏍", "4" + "x" * 70_000, b"\x01\x02\x03\x04", b"", bytes(70_000)]
)
async def test_a_frame_comes_back(message: str | bytes) -> None:
    async with talking() as server, server.websocket() as client:
        await client.opened()
        await client.say(message)
        assert await client.hear() == message


async def test_frames_come_back_in_order() -> None:
    async with talking() as server, server.websocket() as client:
        await client.opened()
        sent = [f"4{number}" if number % 3 else bytes([number]) for number in range(200)]
        await client.say(*sent)
        assert [await client.hear() for _ in sent] == sent


@pytest.mark.parametrize("frame", ["abc", "", "0{}", "2", "2probe", "7", "9", "é"])
async def test_what_is_no_packet_closes_the_websocket(frame: str) -> None:
    async with talking() as server, server.websocket() as client:
        await client.opened()
        await client.say(frame)
        await client.closed()


@pytest.mark.parametrize("path", [ENGINE, SOCKET])
async def test_a_client_closes_its_websocket_by_packet(path: str) -> None:
    async with talking(path) as server, server.websocket() as client:
        sid = (await client.opened())["sid"]
        await client.say("1", "4late")
        await client.closed()
        assert await unknown(server, sid)


async def test_a_websocket_that_is_closed_is_no_session_any_more() -> None:
    async with talking() as server:
        async with server.websocket() as client:
            sid = (await client.opened())["sid"]
        await eventually(lambda: unknown(server, sid))


async def unknown(server: Talking, sid: str) -> bool:
    return bool((await server.request(sid=sid)).json() == {"code": 1, "message": "Session ID unknown"})
