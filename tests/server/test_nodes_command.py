"""`python -m server nodes`: who is up, as a table and as JSON, or a sentence when there is nothing to show."""

import asyncio
import json
import re

import pytest

from domain.kit.clock import SystemClock
from realtime.bus.connections import BusOptions, RedisLink
from realtime.bus.nodes import _SEEN, Figures, Node, NodeRegister
from server.__main__ import main
from server.stack.ports import free_port

FIGURES = {
    "alpine": Figures(sockets=1200, riders=40, subscriptions=17, heard_ms=80, gaps_filled=3),
    "basalt": Figures(draining=True),
    "cobble": Figures(),
}


async def speak_once(redis_url: str) -> None:
    """Each node says once how it is; the last one, long ago."""
    clock, options = SystemClock(), BusOptions(redis_url)
    for name, figures in FIGURES.items():
        register = NodeRegister(Node(f"id-of-{name}", "10.0.0.7:8000", 1_700_000_000_000, name, "2.0"), clock, options)
        register.attach(lambda figures=figures: figures)
        await register._say()
        await register._link.aclose()
    redis = RedisLink(options, name="test")
    await redis.call("ZINCRBY", _SEEN, -6000, "id-of-cobble")
    await redis.aclose()


def test_nodes_are_shown_with_their_figures(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", redis_url)
    assert main(["nodes"]) == 1
    assert capsys.readouterr().err == "no node is up: start one with python -m server run\n"
    asyncio.run(speak_once(redis_url))
    assert main(["nodes", "--json"]) == 0
    nodes = {node["name"]: node for node in json.loads(capsys.readouterr().out)["nodes"]}
    assert [node["state"] for node in nodes.values()] == ["serving", "draining", "silent"]
    alpine = nodes["alpine"]
    assert (alpine["id"], alpine["address"], alpine["version"]) == ("id-of-alpine", "10.0.0.7:8000", "2.0")
    assert (alpine["sockets"], alpine["riders"], alpine["subscriptions"], alpine["gaps_filled"]) == (1200, 40, 17, 3)
    asyncio.run(speak_once(redis_url))
    assert main(["nodes"]) == 0
    headings, *rows = capsys.readouterr().out.splitlines()
    assert headings.split("  ")[0] == "name"
    assert " ".join(rows[0].split()) == (
        "alpine id-of-alpine 10.0.0.7:8000 2.0 2023-11-14 22:13:20 1200 40 17 80 ms ago - 3 serving"
    )
    serving, draining, silent = (row.rpartition("  ")[2] for row in rows)
    assert (serving, draining) == ("serving", "draining")
    assert re.fullmatch(r"silent for ([6-9]|10) s", silent)  # forgotten after ten


def test_who_cannot_ask_is_told_what_to_look_at(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    port = free_port()
    monkeypatch.setenv("REDIS_URL", f"redis://nobody:secret@127.0.0.1:{port}/0")
    assert main(["nodes"]) == 1
    said = capsys.readouterr().err
    assert f"127.0.0.1:{port}" in said
    assert said.endswith("; look at Redis, and at REDIS_URL\n")
    assert "secret" not in said
