"""Connections that change hands between two nodes of one machine: whole, in order, once, and only among themselves."""

import asyncio
import itertools
import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.nodes.giving import INLINE_BYTES
from tests.nodes.machine import Connection, Sibling, connection, get, machine, post, sibling
from tests.realtime.serving import handshake, masked
from tests.realtime.wire.transports import RecordingTransport
from tests.support import eventually

UNKNOWN = (400, '{"code":1,"message":"Session ID unknown"}')
Pair = tuple[Sibling, Sibling]


@pytest.fixture
async def both(tmp_path: Path, faultless: None) -> AsyncIterator[Pair]:
    async with machine(tmp_path) as nodes:
        yield nodes


@pytest.fixture
async def sessions(both: Pair) -> tuple[str, str]:
    """One of each."""
    one, two = both
    return await one.session(), await two.session()


async def test_requests_are_answered_where_their_sessions_are(both: Pair) -> None:
    """One connection, as of a proxy that keeps it open for requests of many clients."""
    one, two = both
    sids = [await one.session(), await two.session()]
    async with httpx.AsyncClient(limits=httpx.Limits(max_connections=1)) as client:
        for number in range(3):
            for sid, node in zip(sids, both, strict=True):
                answer = await client.post(one.up.polling_url(sid=sid), content=f'42["said",{number}]')
                assert (answer.status_code, answer.text) == (200, "ok")
                assert node.heard.events[-1] == ("said", [number])
        options = await client.options(one.up.polling_url(sid=sids[0]))
        assert options.headers["access-control-allow-methods"] == "GET, POST, OPTIONS"
    assert one.handovers() == {"given": 3, "taken": 3, "failed": 0}
    assert two.handovers() == {"given": 3, "taken": 3, "failed": 0}


async def test_what_is_asked_behind_an_answer_under_way_waits_for_it(both: Pair) -> None:
    one, two = both
    ours, theirs = await one.session(), await two.session()
    async with connection(one) as client, connection(one) as other:
        # A poll that waits, then requests of both nodes, one of them with a body in chunks, and all of it in one write.
        rest = (post(theirs, b'421["a",1]'), post(ours, b'42["b",2]', chunks=4), get(theirs), get())
        await client.send(get(ours) + b"".join(rest))
        await other.send(post(ours, b'421["wakes",0]'))
        assert await other.answer() == (200, "ok")
        assert await client.answer() == (200, "431[0]")
        assert await client.answer() == (200, "ok")
        assert await client.answer() == (200, "ok")
        assert await client.answer() == (200, "431[1]")
        assert "sid" in (await client.answer())[1]
    assert one.heard.events == [("wakes", [0]), ("b", [2])]
    assert two.heard.events == [("a", [1])]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    cuts=st.lists(st.integers(1, 2000), max_size=12),
    chunks=st.sampled_from([0, 1, 7, 500]),
    lines=st.sampled_from([0, 1, 2, 300]),
)
async def test_it_does_not_matter_where_reads_end(
    both: Pair, sessions: tuple[str, str], cuts: list[int], chunks: int, lines: int
) -> None:
    one, two = both
    ours, theirs = sessions
    # A body may have the end of a head in it, and empty lines may come before a request.
    body = b'42["said",1]\x1e42["said",' + b"\r\n" * lines + b"2]"
    requests = [post(theirs, body, chunks=chunks), post(ours, b'42["x",1]', chunks=chunks), post(theirs, b"3")]
    stream = (b"\r\n" * lines).join([*requests, get(theirs + "x")])
    ends = sorted({min(cut, len(stream)) for cut in cuts} | {0, len(stream)})
    async with connection(one) as client:
        await client.send(*(stream[begin:end] for begin, end in itertools.pairwise(ends)))
        assert [await client.answer() for _ in range(4)] == [(200, "ok")] * 3 + [UNKNOWN]
    assert two.heard.events[-1] == ("said", [2])


async def test_a_body_larger_than_a_message_comes_over_whole(both: Pair) -> None:
    one, two = both
    theirs = await two.session()
    text = "x" * (INLINE_BYTES // 2)
    body = "\x1e".join(f'42["said","{text}"]' for _ in range(5)).encode()
    async with connection(one) as client:
        await client.send(post(theirs, body))
        assert await client.answer() == (200, "ok")
    assert two.heard.events == [("said", [text])] * 5


async def test_a_body_is_read_no_faster_than_it_is_wanted(both: Pair) -> None:
    one, _ = both
    ours = await one.session()
    body = b"\x1e".join([b'42["said","' + b"x" * 50_000 + b'"]'] * 2)
    protocol = one.protocol(b"")
    transport = RecordingTransport(protocol)
    protocol.connection_made(transport)
    request = post(ours, body)
    transport.feed(request[:-10])
    assert not transport.reading
    await eventually(lambda: transport.reading)
    transport.feed(request[-10:])
    await eventually(lambda: transport.sent.endswith(b"\r\n\r\nok"))
    transport.reset()
    await eventually(lambda: transport.ended)


async def test_a_session_moves_to_websocket_over_a_connection_that_changes_hands(both: Pair) -> None:
    one, two = both
    theirs = await two.session()
    async with connection(one) as client:
        # The probe comes right behind the handshake, as it may when the network is slow.
        upgrade = handshake(one.up.port, f"EIO=4&transport=websocket&sid={theirs}")
        await client.send(upgrade + masked(b"2probe"))
        assert b"101 Switching Protocols" in await client.reader.readuntil(b"\r\n\r\n")
        assert await client.reader.readexactly(8) == b"\x81\x063probe"
        await client.send(masked(b"5"), masked(b'421["over",1]'))
        assert await client.reader.readexactly(8) == b"\x81\x06431[1]"
    assert two.heard.events == [("over", [1])]
    await eventually(lambda: len(two.heard.ends) == 1)


async def test_the_client_keeps_its_address_and_what_a_proxy_says_of_it(both: Pair) -> None:
    one, two = both
    theirs = await two.session()
    async with connection(one) as client:
        await client.send(post(theirs, b"3"), get(), get(headers="X-Forwarded-For: 192.0.2.7\r\n"))
        assert await client.answer() == (200, "ok")
        begun = [json.loads((await client.answer())[1][1:])["sid"] for _ in range(2)]
    assert [two.up.wire.engine.sessions[sid].address for sid in begun] == ["127.0.0.1", "192.0.2.7"]
    assert two.up.wire.connections == 3
    assert one.up.wire.connections == 0


async def test_a_sibling_that_is_away_is_answered_for_until_it_is_back(tmp_path: Path, faultless: None) -> None:
    first, second = "one.0", "one.1"
    async with sibling(tmp_path, first) as one, connection(one) as client:
        await client.send(get(f"{second}.{'a' * 20}"))
        assert await client.answer() == UNKNOWN
        for _ in range(2):
            async with sibling(tmp_path, second) as two, connection(one) as other:
                await other.send(post(await two.session(), b"3"))
                assert await other.answer() == (200, "ok")
            await client.send(get(f"{second}.{'a' * 20}"))
            assert await client.answer() == UNKNOWN
        assert one.handovers() == {"given": 2, "taken": 0, "failed": 3}


@pytest.mark.parametrize("sid", ["two.0.aaaaaaaaaaaaaaaaaaaa", "one.0.aaaaaaaaaaaaaaaaaaaa", "one.1", "", ".", "%00"])
async def test_a_session_of_no_sibling_is_not_known_here(both: Pair, sid: str) -> None:
    one, _ = both
    async with connection(one) as client:
        await client.send(get(query=f"&sid={sid}"))
        assert await client.answer() == UNKNOWN
    assert one.handovers() == {"given": 0, "taken": 0, "failed": 0}


async def test_a_request_is_handed_over_once(both: Pair) -> None:
    """Who is given one that names somebody else answers it; the next one on the same connection may go on."""
    one, two = both
    theirs = await two.session()
    with socket.create_server(("127.0.0.1", 0)) as listens:
        reader, writer = await asyncio.open_connection(*listens.getsockname())
        accepted, _ = listens.accept()
        with accepted:
            assert two.giver.give("one.0", accepted.fileno(), get("one.1.aaaaaaaaaaaaaaaaaaaa"))
    client = Connection(reader, writer)
    assert await client.answer() == UNKNOWN
    assert one.handovers() == {"given": 0, "taken": 1, "failed": 0}
    await client.send(post(theirs, b"3"))
    assert await client.answer() == (200, "ok")
    writer.close()


async def test_what_is_no_connection_is_closed_and_the_next_one_is_taken(both: Pair, tmp_path: Path) -> None:
    one, two = both
    theirs = await two.session()
    with ExitStack() as stack:
        line = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET))
        line.connect(two.place.connections_of("one.1"))
        file = stack.enter_context((tmp_path / "file").open("wb"))
        no_tcp, _ = (stack.enter_context(each) for each in socket.socketpair())
        listens = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        before = descriptors()
        line.send(b"nothing with it")
        messages: list[tuple[bytes, list[Any]]] = [
            (b"a file", [file]),
            (b"no TCP", [no_tcp]),
            (b"too many", [file] * 5),
            (b"x" * (INLINE_BYTES + 1), [listens]),
            (b"", [listens]),
            (b"GET / HTTP/1.1\r\n\r\n", [listens]),
        ]
        for data, endpoints in messages:
            socket.send_fds(line, [data], [each.fileno() for each in endpoints])
        await eventually(lambda: two.handovers()["failed"] + two.handovers()["taken"] == 7)
        await eventually(lambda: descriptors() <= before + 1)
    async with connection(one) as client:
        await client.send(post(theirs, b"3"))
        assert await client.answer() == (200, "ok")


def descriptors() -> int:
    """Open in this process."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_sibling_that_is_slow_gets_all_of_them_in_the_end(tmp_path: Path, faultless: None) -> None:
    async with sibling(tmp_path, "one.0") as one:
        path = one.place.connections_of("one.1")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listens, socket.socket() as given_away:
            listens.bind(path)
            listens.listen()
            taken = 0
            while one.giver.give("one.1", given_away.fileno(), b"%d" % taken):
                taken += 1
            assert taken > 512  # what the kernel keeps, and as many as a node does
            assert not any(one.giver.give("one.1", given_away.fileno(), b"too many") for _ in range(100))
            line, _ = listens.accept()
            line.setblocking(False)
            with line:
                for number in range(taken):
                    data, descriptors = await received(line)
                    assert int(data) == number
                    os.close(*descriptors)
    assert one.handovers()["given"] == taken


async def received(line: socket.socket) -> tuple[bytes, list[int]]:
    """The next message, when it is there."""
    while True:
        try:
            data, descriptors, _, _ = socket.recv_fds(line, 100, 2)
        except BlockingIOError:
            await asyncio.sleep(0)
        else:
            return data, list(descriptors)
