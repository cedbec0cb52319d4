"""A session that has ended holds no socket, on any node, whatever its client does."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import httpx
import pytest
from socketio.exceptions import ConnectionError as Refused

from server.stack import RedisServer
from tests.e2e.phones import CONNECT_SECONDS, Account, Phone, phone, register, rest_client, revoke
from tests.e2e.processes import ANSWERED_WITHIN_SECONDS, Node, Pair, Site, site
from tests.e2e.promises import least
from tests.support import eventually

TOKEN_SECONDS = 5
ENDED_SECONDS = 30.0
"""Bound of what never ends; a token in the other tests holds for a quarter of an hour."""
POLLING = "/socket.io/?EIO=4&transport=polling"


class RawSocket:
    """A TCP connection that opened a WebSocket and signed in, and from then on says nothing: no pong, no close."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @asynccontextmanager
    async def open(cls, node: Node, account: Account) -> AsyncIterator["RawSocket"]:
        reader, writer = await asyncio.open_connection("127.0.0.1", node.port)
        try:
            writer.write(_handshake(node.port))
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), CONNECT_SECONDS)
            writer.write(_masked(b"40" + _auth(account)))
            await asyncio.wait_for(reader.readuntil(b'"session:ready"'), CONNECT_SECONDS)
            yield cls(reader, writer)
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()

    async def read_to_end(self) -> bytes:
        """Everything up to the end-of-file. Raises TimeoutError."""
        return await asyncio.wait_for(self._reader.read(-1), ENDED_SECONDS)


def _handshake(port: int) -> bytes:
    return (
        f"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    ).encode()


def _masked(data: bytes) -> bytes:
    """A client's text frame of 126 to 65,535 bytes, masked with zeros."""
    return b"\x81\xfe" + len(data).to_bytes(2, "big") + bytes(4) + data


def _auth(account: Account) -> bytes:
    return json.dumps({"token": account.access_token, "device_id": account.device_id}).encode()


async def refused(node: Node, account: Account) -> bool:
    """Whether the session is let in no more, for the reason that it was ended."""
    device = Phone(account)
    reasons: list[dict[str, str]] = []
    device.client.on("connect_error", reasons.append)
    try:
        await device.connect(node.url)
    except Refused:
        return "this session was ended" in reasons[0]["message"]
    await device.disconnect()
    return False


async def test_a_socket_on_the_other_node_reads_end_of_file_within_two_seconds(pair: Pair) -> None:
    async def seconds() -> float:
        account = await register(pair.one.url)
        async with RawSocket.open(pair.two, account) as socket, RawSocket.open(pair.one, account) as here:
            await revoke(account)
            began = time.monotonic()
            for data in await asyncio.gather(socket.read_to_end(), here.read_to_end()):
                assert b'"session_revoked"' in data
            return time.monotonic() - began

    await least(2, seconds)


async def test_a_revoked_session_connects_nowhere(pair: Pair) -> None:
    account, other = await register(pair.one.url), await register(pair.one.url)
    async with phone(other, pair.two.url) as untouched:
        async with phone(account, pair.two.url) as device:
            await revoke(account)
            await eventually(lambda: not device.client.connected)
            codes = [payload["code"] for event, payload in device.heard if event == "error"]
            assert codes == ["session_revoked"]
        for node in (pair.one, pair.two):
            await eventually(lambda node=node: refused(node, account))  # each hears of it by itself
        assert untouched.client.connected


async def test_a_session_revoked_in_the_database_alone_ends_too(pair: Pair) -> None:
    """The control log says nothing: each node asks Postgres every second."""
    account = await register(pair.one.url)
    database = await asyncpg.connect(pair.site.database_url)
    try:
        async with RawSocket.open(pair.two, account) as socket:
            await database.execute("UPDATE sessions SET revoked_at = now() WHERE id = $1", account.session_id)
            assert b'"session_revoked"' in await socket.read_to_end()
    finally:
        await database.close()
    for node in (pair.one, pair.two):
        await eventually(lambda node=node: refused(node, account))


async def test_signing_out_closes_the_socket(pair: Pair) -> None:
    account = await register(pair.one.url)
    async with RawSocket.open(pair.two, account) as socket:
        async with rest_client(account) as client:
            assert (await client.post("/v1/auth/logout")).status_code == 204
        assert b'"session_revoked"' in await socket.read_to_end()
    await eventually(lambda: refused(pair.one, account))


async def test_a_polling_client_is_told_and_its_session_is_gone(pair: Pair) -> None:
    async with httpx.AsyncClient(base_url=pair.two.url, timeout=ANSWERED_WITHIN_SECONDS) as client:
        # A poll that comes when the session has ended already is refused; on a busy machine some do.
        await eventually(lambda: _is_told_while_it_waits(pair, client), timeout=ENDED_SECONDS)


async def _is_told_while_it_waits(pair: Pair, client: httpx.AsyncClient) -> bool:
    """Whether a poll was under way when the session ended, and was answered with the reason."""
    account = await register(pair.one.url)
    opening = (await client.get(POLLING)).text
    address = f"{POLLING}&sid={json.loads(opening[1:])['sid']}"
    assert (await client.post(address, content=b"40" + _auth(account))).text == "ok"
    heard = ""

    async def polled_until(needle: str) -> bool:
        nonlocal heard
        heard += (await client.get(address)).text
        return needle in heard

    await eventually(lambda: polled_until('"session:ready"'))
    waiting = asyncio.create_task(client.get(address))
    await revoke(account)
    answer = await waiting
    await eventually(lambda: _is_refused(client, address))
    return "session_revoked" in answer.text


async def _is_refused(client: httpx.AsyncClient, address: str) -> bool:
    return (await client.get(address)).status_code == 400


@pytest.fixture
def short_tokens(database_url: str, own_redis: RedisServer, tmp_path: Path) -> Iterator[Site]:
    settings = {"THROTTLECOVE_ACCESS_TOKEN_SECONDS": str(TOKEN_SECONDS)}
    with site(database_url, own_redis.url, tmp_path, settings) as running:
        yield running


async def test_a_socket_ends_with_its_token_unless_it_brings_a_new_one(short_tokens: Site) -> None:
    node = await short_tokens.node()
    careful = await register(node.url)
    async with phone(careful) as kept:
        careless = await register(node.url)
        expires_at = token_expires_at(careless)
        async with RawSocket.open(node, careless) as socket:
            ended = asyncio.create_task(socket.read_to_end())

            async def refreshed_until_the_other_ended() -> bool:
                await refresh(node, kept)
                return ended.done()

            await eventually(refreshed_until_the_other_ended, timeout=ENDED_SECONDS)
            data = ended.result()
            assert b'"auth:expiring"' in data
            assert b'"token_expired"' in data
            assert time.time() >= expires_at
        assert kept.client.connected
        await eventually(lambda: not kept.client.connected, timeout=ENDED_SECONDS)


def token_expires_at(account: Account) -> float:
    """When the rider's access token ends, in seconds since 1970."""
    claims = account.access_token.split(".")[1]
    return float(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"])


async def refresh(node: Node, device: Phone) -> None:
    """Once, when the socket's token is a second old: the rest is for a machine that is busy."""
    warned = [payload for event, payload in device.heard if event == "auth:expiring"]
    ends = warned[-1]["expires_at"] if warned else device.ready["expires_at"]
    if ends / 1000 - time.time() > TOKEN_SECONDS - 1:
        return
    device.heard.clear()
    account = device.account
    async with rest_client(account, node.url) as client:
        credentials = {"refresh_token": account.refresh_token, "device_id": account.device_id}
        answer = (await client.post("/v1/auth/refresh", json=credentials)).json()
    account.refresh_token = answer["refresh_token"]
    accepted = await device.ask("auth:refresh", {"token": answer["access_token"]})
    assert accepted["expires_at"] > ends
    device.ready["expires_at"] = accepted["expires_at"]
