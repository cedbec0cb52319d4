"""The client in docs/socket-io.md does what the page says, against a real node; so does the server."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import socketio

from server.stack.ports import free_port
from tests.docs.test_readme import JAVASCRIPT, ROOT, output_of, put
from tests.e2e.phones import register
from tests.e2e.processes import Site
from tests.support.javascript import node as node_program
from tests.support.waiting import eventually

PAGE = ROOT / "docs" / "socket-io.md"


def snippet(language: str) -> str:
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    return str(code)


async def said_by_the_client(*arguments: str, fails: bool = False) -> str:
    script: Path = JAVASCRIPT / "node_modules" / ".socket-io-client.mjs"
    put(script, snippet("javascript"))
    return await output_of(node_program(), str(script), *arguments, cwd=JAVASCRIPT, fails=fails)


async def test_the_client_speaks_msgpack_and_watches_or_says_why_it_is_refused(one_site: Site) -> None:
    node = await one_site.node()
    account = await register(node.url)
    said = await said_by_the_client(node.url, account.access_token, account.device_id)
    assert f"signed in as rider {account.rider}" in said
    assert "watching" in said
    refused = await said_by_the_client(node.url, account.access_token, "another device", fails=True)
    assert refused.startswith("refused")
    assert "device_id" in refused


@asynccontextmanager
async def client(url: str, transport: str) -> AsyncIterator[tuple[socketio.AsyncClient, list[Any]]]:
    """A client that votes yes, and what it heard."""
    heard: list[Any] = []
    phone = socketio.AsyncClient(reconnection=False)
    phone.on("joined", heard.append)
    phone.on("vote", lambda question: f"{question} yes")
    await phone.connect(url, transports=[transport])
    try:
        yield phone, heard
    finally:
        await phone.disconnect()


async def until_said(stream: asyncio.StreamReader, words: bytes) -> None:
    async with asyncio.timeout(40):
        while words not in (line := await stream.readline()):
            assert line, f"ended without {words!r}"


async def test_the_server_serves_and_ends_while_somebody_polls(tmp_path: Path) -> None:
    port = free_port()
    script = tmp_path / "own_server.py"
    script.write_text(snippet("python").replace("port=3000", f"port={port}"), "utf-8")
    server = await asyncio.create_subprocess_exec(
        sys.executable, str(script), env={"PYTHONPATH": str(ROOT)}, stderr=asyncio.subprocess.PIPE
    )
    try:
        assert server.stderr is not None
        await until_said(server.stderr, b"running on")
        url = f"http://127.0.0.1:{port}"
        async with client(url, "polling") as (one, heard), client(url, "websocket") as (two, _):
            assert "x" in await one.call("join", "x")
            await two.call("join", "x")
            assert await eventually(lambda: heard) == [two.get_sid()]
            assert await two.call("vote", ("x", "pizza?")) == {one.get_sid(): ["pizza? yes"]}
            server.send_signal(signal.SIGINT)
            _, said = await asyncio.wait_for(server.communicate(), 20)  # a poll would take 25
        assert server.returncode == 0 and b"Traceback" not in said, said.decode()
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()


def test_the_server_has_twenty_lines() -> None:
    assert len([line for line in snippet("python").splitlines() if line.strip()]) <= 20
