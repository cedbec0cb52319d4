"""`python -m server nodes`: who is up, as a table and as JSON, or a sentence when there is nothing to show."""

import asyncio
import json
import re
import time
from pathlib import Path

import pytest

from domain.kit.clock import SystemClock
from realtime.bus.connections import BusOptions, RedisLink
from realtime.bus.nodes import _SEEN, Figures, Node, NodeRegister
from server.__main__ import main
from server.stack import RedisServer
from server.stack.ports import free_port
from tests.support.redis_tls import running_with_tls
from tests.support.redis_topologies import RedisCluster, ask

BOUND_SECONDS = 10.0
"""Some times what it takes, for a machine that stands still for a moment."""
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


def test_a_redis_that_is_silent_is_not_waited_for_long(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", own_redis.url)
    monkeypatch.setenv("THROTTLECOVE_REDIS_TIMEOUT_SECONDS", "0.2")
    own_redis.pause()
    began = time.monotonic()
    assert main(["nodes"]) == 1
    assert time.monotonic() - began < BOUND_SECONDS
    where = f"redis://127.0.0.1:{own_redis.port}/0"
    said = f"cannot ask {where} which nodes are up: no answer in time; look at Redis, and at REDIS_URL\n"
    assert capsys.readouterr().err == said


def test_the_masters_that_do_not_answer_are_named(
    redis_cluster: RedisCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The list is on one of them; the others have nothing to tell."""
    monkeypatch.setenv("REDIS_URL", redis_cluster.url)
    monkeypatch.setenv("THROTTLECOVE_REDIS_TIMEOUT_SECONDS", "1")
    master = redis_cluster.owner(_SEEN)
    others = {f"127.0.0.1:{each.port}" for each in redis_cluster.masters() if each is not master}
    replicas = {int(port) for _, port, _ in ask(master, "ROLE")[2]}
    for server in redis_cluster.servers:
        if server.port in {master.port, *replicas}:
            server.pause()  # nobody takes over
    began = time.monotonic()
    assert main(["nodes", "--json"]) == 1
    assert time.monotonic() - began < BOUND_SECONDS
    shown = capsys.readouterr()
    assert f"of its 3 masters 127.0.0.1:{master.port} gave no answer; look at Redis" in shown.err
    answer = json.loads(shown.out)
    assert answer["nodes"] is None
    assert {name for name, fault in answer["masters"].items() if fault is None} == others


def test_a_certificate_that_is_refused_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with running_with_tls(tmp_path, "one") as servers:
        monkeypatch.setenv("REDIS_URL", servers.url())
        assert main(["nodes"]) == 1
        assert "no node is up" in capsys.readouterr().err
        monkeypatch.setenv("REDIS_URL", servers.url(ssl_ca_certs=""))
        assert main(["nodes"]) == 1
        assert "is refused: " in capsys.readouterr().err
