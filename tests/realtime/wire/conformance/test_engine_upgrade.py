"""From long-polling to WebSocket: the probe, what polls hear meanwhile, and who comes too late."""

import pytest

from tests.realtime.wire.conformance.talking import ENGINE, SOCKET, Session, Talking, Upgraded, talking
from tests.realtime.wire.transports import turned_clock
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

both_paths = pytest.mark.parametrize("path", [ENGINE, SOCKET])


async def probe(client: Upgraded) -> None:
    await client.say("2probe")
    assert await client.hear() == "3probe"


async def upgrade(client: Upgraded, server: Talking, session: Session) -> None:
    """Both halves, and the proof that the second has arrived."""
    await probe(client)
    await client.say("5")
    await eventually(lambda: refused(server, session))


async def refused(server: Talking, session: Session) -> bool:
    return (await server.request("POST", sid=session.sid, content="6")).status_code == 400


async def test_a_session_goes_on_by_websocket() -> None:
    async with talking() as server:
        session = await server.session()
        async with server.websocket(sid=session.sid) as client:
            await probe(client)
            assert await session.polled() == ["6"]
            await client.say("5", "4hello")
            assert await client.hear() == "4hello"


@both_paths
async def test_the_poll_under_way_ends_with_a_noop(path: str) -> None:
    async with talking(path) as server:
        session = await server.session()
        async with session.poll_under_way() as poll, server.websocket(sid=session.sid) as client:
            await probe(client)
            assert ((await poll).status_code, (await poll).text) == (200, "6")


async def test_what_was_sent_during_the_probe_comes_once_and_in_order() -> None:
    async with talking() as server:
        session = await server.session()
        await session.post("4before")
        async with server.websocket(sid=session.sid) as client:
            await probe(client)
            await session.post("4during", b"\x01")
            heard = [packet for packet in await session.polled() if packet != "6"]
            await client.say("5", "4after")
            while not heard or heard[-1] != "4after":
                frame = await client.hear()
                heard.append(frame if isinstance(frame, str) else "bAQ==")
            assert heard == ["4before", "4during", "bAQ==", "4after"]


@both_paths
async def test_polls_of_an_upgraded_session_are_refused_and_it_stays(path: str) -> None:
    async with talking(path) as server:
        session = await server.session()
        async with server.websocket(sid=session.sid) as client:
            await upgrade(client, server, session)
            for answer in (await session.poll(), await session.post("4no")):
                assert (answer.status_code, answer.json()) == (400, {"code": 3, "message": "Bad request"})
            assert client.websocket.close_code is None
            if path == ENGINE:
                await client.say("4hello")
                assert await client.hear() == "4hello"


@both_paths
async def test_another_websocket_of_an_upgraded_session_is_closed_and_it_stays(path: str) -> None:
    async with talking(path) as server:
        session = await server.session()
        async with server.websocket(sid=session.sid) as client:
            await upgrade(client, server, session)
            async with server.websocket(sid=session.sid) as late:
                await late.closed()
            assert client.websocket.close_code is None
            if path == ENGINE:
                await client.say("4hello")
                assert await client.hear() == "4hello"


async def test_another_websocket_of_a_session_that_began_as_one_is_closed() -> None:
    async with talking() as server, server.websocket() as client:
        sid = (await client.opened())["sid"]
        async with server.websocket(sid=sid) as late:
            await late.closed()
        await client.say("4hello")
        assert await client.hear() == "4hello"


async def test_a_second_probe_at_once_is_closed_and_the_first_goes_on() -> None:
    async with talking() as server:
        session = await server.session()
        async with server.websocket(sid=session.sid) as first:
            await probe(first)
            async with server.websocket(sid=session.sid) as second:
                await second.closed()
            await first.say("5", "4hello")
            assert await first.hear() == "4hello"


@pytest.mark.parametrize(
    "frames", [["4early"], ["5"], ["2"], ["2probe", "6"], ["2probe", "4early"], [b"2probe"], ["2probe", "2probe"]]
)
async def test_a_probe_that_goes_wrong_leaves_the_session_polling(frames: list[str | bytes]) -> None:
    async with talking() as server:
        session = await server.session()
        async with server.websocket(sid=session.sid) as client:
            await client.say(*frames)
            await client.closed()
        await session.post("4still here")
        assert await session.polled() == ["4still here"]


async def test_after_a_probe_that_was_given_up_another_succeeds() -> None:
    with turned_clock() as clock:
        async with talking(upgrade_within_seconds=10) as server:
            session = await server.session()
            async with server.websocket(sid=session.sid) as client:
                await probe(client)
                await clock.turn(10.1)
                await client.closed()
            async with server.websocket(sid=session.sid) as client:
                await probe(client)
                await client.say("5", "4hello")
                assert await client.hear() == "4hello"


@both_paths
async def test_the_end_of_the_session_is_the_end_of_its_probe(path: str) -> None:
    async with talking(path) as server:
        session = await server.session()
        async with server.websocket(sid=session.sid) as client:
            await probe(client)
            await session.post("1")
            await client.closed()
        assert await session.gone()


async def test_pings_follow_the_session_to_its_websocket() -> None:
    async with talking(ping_interval_ms=60, ping_timeout_ms=10_000) as server:
        session = await server.session()
        async with server.websocket(sid=session.sid) as client:
            await upgrade(client, server, session)
            for _ in range(2):
                assert await client.hear() == "2"
                await client.say("3")
