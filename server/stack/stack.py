"""The embedded default: one PostgreSQL and one Redis under a directory, started, reused and stopped together.

`<directory>/stack.json` says where the running stack is; a lock keeps two starts at the same time apart.
"""

import contextlib
import dataclasses
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from server.stack.errors import StackError
from server.stack.postgres_server import PostgresServer
from server.stack.private_server import PrivateServer, Report, silent
from server.stack.redis_server import RedisServer


@dataclass(frozen=True)
class StackAddress:
    """Where a running stack is found, and by which processes."""

    database_url: str
    redis_url: str
    postgres_pid: int
    redis_pid: int


@dataclass(frozen=True)
class ServerStatus:
    """One server of the stack: its pid and port, as far as there are any, and whether it answers."""

    name: str
    pid: int | None
    port: int | None
    healthy: bool


def start(directory: Path, *, report: Report = silent) -> StackAddress:
    """Make sure that both servers run and answer, reusing what does. Raises StackError saying what to do."""
    directory = directory.resolve()
    make_directory(directory)
    with _locked(directory):
        redis, postgres = _servers(directory, report)
        redis.start()
        postgres.start()
        address = StackAddress(postgres.url, redis.url, _pid(postgres), _pid(redis))
        _write(directory, address)
    return address


def stop(directory: Path, *, report: Report = silent) -> None:
    """End both servers in good order; what they have stored stays. Does nothing where none runs."""
    if not directory.is_dir():
        return
    with _locked(directory):
        for server in _servers(directory, report):
            was_running = server.stop()
            report(f"{server.name}: {'stopped' if was_running else 'was not running'}")
        _record(directory).unlink(missing_ok=True)


def remove(directory: Path, *, report: Report = silent) -> None:
    """Stop both servers and delete the directory with all that they have stored."""
    stop(directory, report=report)
    for server in _servers(directory, silent):
        server.remove()
    shutil.rmtree(directory, ignore_errors=True)


def status(directory: Path) -> list[ServerStatus]:
    """What runs of the stack in this directory."""
    with _permitted():
        return [_status(server) for server in _servers(directory, silent)]


def _status(server: PrivateServer) -> ServerStatus:
    try:
        port = server.port
    except StackError:
        return ServerStatus(server.name, pid=None, port=None, healthy=False)
    return ServerStatus(server.name, server.pid, port, server.is_healthy())


def _servers(directory: Path, report: Report) -> tuple[RedisServer, PostgresServer]:
    return (
        RedisServer(directory / "redis", report=report),
        PostgresServer(directory / "postgres", report=report),
    )


def _pid(server: PrivateServer) -> int:
    if server.pid is None:
        raise StackError(f"{server.name} ended right after its start; see {server.log}")
    return server.pid


def make_directory(directory: Path) -> None:
    """Make the directory of a stack, as closed as it can be. Raises StackError."""
    # Others may pass through, not look: as root, PostgreSQL may have to run as another user below it.
    try:
        directory.mkdir(mode=0o711, parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(f"cannot make {directory}: {error.strerror}; name another one with --dir") from error
    if not os.access(directory, os.W_OK | os.X_OK):
        raise StackError(f"{directory} is not writable for this user; run as its owner, or name another with --dir")


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with _permitted(), (directory / "stack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def _permitted() -> Iterator[None]:
    try:
        yield
    except PermissionError as error:
        raise StackError(
            f"{error.filename} belongs to another user; run this as that user, or remove it all: sudo make clean"
        ) from error


def _record(directory: Path) -> Path:
    return directory / "stack.json"


def _write(directory: Path, address: StackAddress) -> None:
    """Record the address in one step; it holds the password, so nobody else may read it."""
    unfinished = directory / "stack.json.unfinished"
    unfinished.touch(mode=0o600)
    unfinished.write_text(json.dumps(dataclasses.asdict(address), indent=2) + "\n")
    unfinished.replace(_record(directory))
