"""The server for the public protocol suites as a command: what it says, what it serves, how it ends."""

import argparse
import json
import os
import signal
from pathlib import Path

import httpx
import pytest

from server.__main__ import main
from server.commands.conformance import milliseconds
from server.stack.ports import free_port
from tests.e2e.processes import Process
from tests.support import eventually


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def command(port: int, tmp_path: Path) -> Process:
    options = ["--port", str(port), "--ping-interval-ms", "20000", "--ping-timeout-ms", "15000"]
    return Process(["server", "conformance", *options], {}, tmp_path / "conformance.log")


async def test_it_serves_both_protocols_until_it_is_told_to_stop(
    command: Process, port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"http://127.0.0.1:{port}"
    command.start()
    try:
        await eventually(lambda: f"listening on {url}" in command.log.read_text(), timeout=30)
        async with httpx.AsyncClient(base_url=url, timeout=30) as http:
            for path in ("/engine.io/", "/socket.io/"):
                opening = json.loads((await http.get(f"{path}?EIO=4&transport=polling")).text[1:])
                assert (opening["pingInterval"], opening["pingTimeout"]) == (20_000, 15_000)
            assert (await http.get("/elsewhere")).status_code == 404
        assert main(["conformance", "--port", str(port)]) == 1
        assert f"port {port} is in use" in capsys.readouterr().err
    finally:
        status = command.stop()
    assert status == 0, command.tail()


async def test_ctrl_c_ends_it_in_good_order(command: Process) -> None:
    command.start()
    try:
        await eventually(lambda: "listening" in command.log.read_text(), timeout=30)
        os.kill(command.pid, signal.SIGINT)
        await eventually(lambda: not command.runs, timeout=30)
    finally:
        status = command.stop()
    assert (status, "Traceback" in command.tail()) == (0, False)


@pytest.mark.parametrize("text", ["0", "-1", "1.5", "soon", ""])
def test_pings_take_whole_milliseconds(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        milliseconds(text)
