"""The parent of several processes: begins them, begins again what ends, and ends with them. They are small programs."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent

import pytest

from server.nodes.parent import Family, Parent
from tests.support import eventually

LISTENS = """
    import os, signal, socket, sys, time
    name, directory, lifeline = sys.argv[1], sys.argv[2], socket.socket(fileno=int(sys.argv[3]))
    open(f"{directory}/{name}.begun", "a").write(f"{os.getpid()}\\n")
    if os.path.exists(f"{directory}/{name}.fails"):
        sys.exit("a sentence of its own")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    lifeline.send(b"listens")
"""
SERVES = LISTENS + "    lifeline.recv(1)\n"
DEAF = LISTENS + "    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n    time.sleep(60)\n"


class House:
    """A parent that runs, and what its children write down."""

    def __init__(self, directory: Path, program: str, limit_seconds: float = 30.0) -> None:
        self.directory = directory
        names = ("one.0", "one.1", "one.2")
        family = Family(names, self.command, limit_seconds)
        self._program = dedent(program)
        self.parent = Parent(family, directory, first_pause_seconds=0.01)
        self.running: asyncio.Task[int]

    def command(self, name: str, directory: Path, lifeline: int) -> list[str]:
        return [sys.executable, "-SIc", self._program, name, str(directory), str(lifeline)]

    def pids(self, number: int) -> list[int]:
        """Of the processes of one child, the newest last."""
        path = self.directory / f"one.{number}.begun"
        return [int(line) for line in path.read_text().splitlines()] if path.exists() else []

    def fails(self, number: int) -> Path:
        """While this file is there the child ends before it listens."""
        return self.directory / f"one.{number}.fails"


@asynccontextmanager
async def house(directory: Path, program: str, limit_seconds: float = 30.0) -> AsyncIterator[House]:
    home = House(directory, program, limit_seconds)
    home.running = asyncio.create_task(home.parent.run())
    try:
        yield home
    finally:
        async with asyncio.timeout(40):
            await home.running
        assert not any(alive(pid) for number in range(3) for pid in home.pids(number))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_who_dies_begins_again_and_a_signal_ends_all(tmp_path: Path) -> None:
    async with house(tmp_path, SERVES) as home:
        await eventually(lambda: home.parent.serving == 3)
        (victim,) = home.pids(1)
        home.fails(1).touch()
        os.kill(victim, signal.SIGKILL)
        await eventually(lambda: len(home.pids(1)) > 3)
        assert home.parent.serving == 2
        home.fails(1).unlink()
        await eventually(lambda: home.parent.serving == 3)
        assert [len(home.pids(number)) for number in (0, 2)] == [1, 1]
        os.kill(os.getpid(), signal.SIGTERM)
    assert home.running.result() == 0


async def test_a_first_one_that_cannot_begin_is_the_only_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    tmp_path.joinpath("one.0.fails").touch()
    async with house(tmp_path, SERVES) as home:
        pass
    assert home.running.result() == 1
    assert [len(home.pids(number)) for number in range(3)] == [1, 0, 0]
    said = capfd.readouterr().err
    assert said.count("a sentence of its own") == 1
    assert "node one.0 ended with status 1 before it listened" in said


async def test_when_none_can_begin_any_more_it_ends(tmp_path: Path) -> None:
    async with house(tmp_path, SERVES) as home:
        await eventually(lambda: home.parent.serving == 3)
        for number in range(3):
            home.fails(number).touch()
            os.kill(home.pids(number)[0], signal.SIGKILL)
    assert home.running.result() == 1


async def test_one_that_is_away_when_all_end_is_told_by_the_status(tmp_path: Path) -> None:
    async with house(tmp_path, SERVES) as home:
        await eventually(lambda: home.parent.serving == 3)
        home.fails(2).touch()
        os.kill(home.pids(2)[0], signal.SIGKILL)
        await eventually(lambda: len(home.pids(2)) > 2)
        os.kill(os.getpid(), signal.SIGINT)
    assert home.running.result() == 1


async def test_who_does_not_end_is_killed(tmp_path: Path) -> None:
    async with house(tmp_path, DEAF, limit_seconds=0.2) as home:
        await eventually(lambda: home.parent.serving == 3)
        os.kill(os.getpid(), signal.SIGTERM)
    assert home.running.result() == 1


async def test_a_signal_while_they_begin_ends_them(tmp_path: Path) -> None:
    async with house(tmp_path, "import time; time.sleep(60)\n") as home:
        await eventually(lambda: home.parent.running == 1)
        os.kill(os.getpid(), signal.SIGTERM)
    assert home.running.result() == 0
