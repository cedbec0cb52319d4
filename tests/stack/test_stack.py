"""The embedded stack as a whole: started, reused, healed and stopped."""

import asyncio
import json
import os
import signal
import socket
import stat
from pathlib import Path

import asyncpg
import psutil
import pytest
import redis.asyncio

from server import stack
from server.stack import PostgresServer, RedisServer, StackAddress, StackError
from server.stack.ports import HOST, free_port
from tests.support import eventually

pytestmark = pytest.mark.timeout(180)  # clusters are made here, and come up again and again


def processes_below(directory: Path) -> list[psutil.Process]:
    """Every process that works in the directory or was told of it."""
    found = []
    for process in psutil.process_iter(["pid", "cwd", "cmdline", "status"]):
        mentions = [process.info["cwd"] or "", *(process.info["cmdline"] or [])]
        if process.pid != os.getpid() and any(str(directory) in text for text in mentions):
            found.append(process)
    return found


async def remember(address: StackAddress, thing: str) -> None:
    """Keep something in both servers."""
    connection = await asyncpg.connect(address.database_url)
    await connection.execute("CREATE TABLE IF NOT EXISTS things (thing text)")
    await connection.execute("INSERT INTO things VALUES ($1)", thing)
    await connection.close()
    async with redis.asyncio.from_url(address.redis_url) as client:
        await client.rpush("things", thing)


async def remembered(address: StackAddress) -> tuple[list[str], list[str]]:
    """What PostgreSQL and Redis have kept."""
    connection = await asyncpg.connect(address.database_url)
    rows = [row["thing"] for row in await connection.fetch("SELECT thing FROM things")]
    await connection.close()
    async with redis.asyncio.from_url(address.redis_url, decode_responses=True) as client:
        return rows, await client.lrange("things", 0, -1)


async def test_a_start_gives_servers_that_keep_what_they_are_told(home: Path) -> None:
    address = stack.start(home)
    await remember(address, "a fix")
    stack.stop(home)
    assert await remembered(stack.start(home)) == (["a fix"], ["a fix"])


async def test_a_second_start_reuses_what_runs_and_does_nothing_else(home: Path, report: list[str]) -> None:
    first = stack.start(home)
    assert stack.start(home, report=report.append) == first
    assert [line for line in report if "already runs" in line] == report
    assert len(report) == 2


async def test_the_address_is_recorded_for_the_owner_only(home: Path) -> None:
    address = stack.start(home)
    record = home / "stack.json"
    assert StackAddress(**json.loads(record.read_text())) == address
    assert stat.S_IMODE(record.stat().st_mode) == 0o600


async def test_what_was_killed_comes_back_with_its_data_on_its_port(home: Path) -> None:
    first = stack.start(home)
    await remember(first, "a fix")
    RedisServer(home / "redis").kill()
    PostgresServer(home / "postgres").kill()
    assert [server.healthy for server in stack.status(home)] == [False, False]

    second = stack.start(home)
    assert (second.database_url, second.redis_url) == (first.database_url, first.redis_url)
    assert second.postgres_pid != first.postgres_pid
    assert second.redis_pid != first.redis_pid
    assert await remembered(second) == (["a fix"], ["a fix"])


async def test_a_killed_postmaster_whose_children_live_on_is_replaced(home: Path) -> None:
    first = stack.start(home)
    connection = await asyncpg.connect(first.database_url)
    os.kill(first.postgres_pid, signal.SIGKILL)
    second = stack.start(home)
    assert second.postgres_pid != first.postgres_pid
    connection.terminate()


async def test_a_paused_server_is_woken(home: Path) -> None:
    first = stack.start(home)
    for server in (RedisServer(home / "redis"), PostgresServer(home / "postgres")):
        server.pause()
        assert not server.is_healthy()
    assert stack.start(home) == first


async def test_a_port_that_another_program_has_taken_is_exchanged(home: Path, report: list[str]) -> None:
    before = stack.start(home)
    ports = {server.port for server in stack.status(home)}
    stack.stop(home)
    foreign = []
    for port in ports:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((HOST, port or 0))
        listener.listen()
        foreign.append(listener)

    after = stack.start(home, report=report.append)
    assert ports.isdisjoint({server.port for server in stack.status(home)})
    assert sum("taken by another program" in line for line in report) == 2
    assert after.redis_url != before.redis_url
    await eventually(lambda: all(server.healthy for server in stack.status(home)))
    for listener in foreign:
        listener.close()


async def test_a_stale_pid_that_is_somebody_elses_now_is_left_alone(home: Path) -> None:
    stack.start(home)
    stack.stop(home)
    bystander = psutil.Popen(["sleep", "60"])
    (home / "redis" / "redis.pid").write_text(f"{bystander.pid}\n")
    (home / "postgres" / "cluster" / "data" / "postmaster.pid").write_text(f"{bystander.pid}\n")

    address = stack.start(home)
    assert bystander.pid not in (address.redis_pid, address.postgres_pid)
    stack.stop(home)
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()


async def test_a_redis_whose_pid_file_was_deleted_is_found_again(home: Path) -> None:
    first = stack.start(home)
    (home / "redis" / "redis.pid").unlink()
    assert stack.start(home) == first


async def test_two_starts_at_once_give_one_stack(home: Path) -> None:
    first, second = await asyncio.gather(*(asyncio.to_thread(stack.start, home) for _ in range(2)))
    assert first == second


async def test_a_removed_stack_leaves_nothing(home: Path) -> None:
    stack.start(home)
    cluster = (home / "postgres" / "cluster").resolve()
    stack.remove(home)
    assert processes_below(home) == []
    assert not home.exists()
    assert not cluster.exists()


async def test_a_stop_ends_everything_and_leaves_only_the_data(home: Path) -> None:
    stack.start(home)
    sockets = PostgresServer(home / "postgres").sockets
    assert sockets.is_dir()
    assert processes_below(home)

    stack.stop(home)
    assert processes_below(home) == []
    assert not sockets.exists()
    assert not (home / "stack.json").exists()
    assert list(home.rglob("*.pid")) == []
    stack.stop(home)


async def test_servers_are_in_sessions_of_their_own(home: Path) -> None:
    address = stack.start(home)
    for pid in (address.redis_pid, address.postgres_pid):
        assert os.getsid(pid) == pid


async def test_redis_keeps_what_it_acknowledges(home: Path) -> None:
    async with redis.asyncio.from_url(stack.start(home).redis_url, decode_responses=True) as client:
        settings = await client.config_get("append*", "maxmemory-policy", "save", "bind")
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "always"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["save"] == ""
    assert settings["bind"] == HOST


async def test_postgres_is_durable_and_wants_its_password(home: Path) -> None:
    address = stack.start(home)
    connection = await asyncpg.connect(address.database_url)
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        assert await connection.fetchval("SELECT current_setting($1)", setting) == "on"
    assert await connection.fetchval("SHOW listen_addresses") == HOST
    assert await connection.fetchval("SHOW server_encoding") == "UTF8"
    assert await connection.fetchval("SELECT ST_AsText(ST_MakePoint(7, 47))") == "POINT(7 47)"
    await connection.close()
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(address.database_url, password="guessed")


async def test_an_unfinished_first_start_is_made_good(home: Path) -> None:
    left_behind = home / "postgres" / "cluster" / "data.unfinished"
    left_behind.mkdir(parents=True)
    (left_behind / "PG_VERSION").write_text("15\n")
    address = stack.start(home)
    await remember(address, "a fix")


async def test_a_server_that_cannot_start_shows_the_end_of_its_log(home: Path) -> None:
    broken = RedisServer(home / "redis", settings={"appendfsync": "sometimes"})
    with pytest.raises(StackError, match=r"(?s)ended while starting.*appendfsync"):
        broken.start()


async def test_status_of_a_stack_that_never_was(home: Path) -> None:
    assert [(server.name, server.pid, server.healthy) for server in stack.status(home)] == [
        ("Redis", None, False),
        ("PostgreSQL", None, False),
    ]
    with pytest.raises(StackError, match="never started"):
        _ = RedisServer(home / "redis").port


def test_ports_are_below_those_that_clients_are_given() -> None:
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert all(free_port() < lowest for _ in range(20))
