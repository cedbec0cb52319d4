"""What the demonstration starts is ended with it, or found afterwards; what is not its own is left alone."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.demo.parts import DemoFailed, Part
from server.demo.record import Entry, Record, end, end_demonstration, only_one
from server.demo.signals import Signals
from server.stack import StackError, processes
from tests.support import eventually

STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); signal.pause()"


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Record]:
    """An empty record; what it holds in the end is killed."""
    record = Record(tmp_path)
    yield record
    processes.send([entry.pid for entry in record.read() if entry.runs], signal.SIGKILL)


def part(directory: Path, program: str = "import signal; signal.pause()") -> Part:
    return Part("part", [sys.executable, "-c", program], directory / "logs")


def start(each: Part, record: Record) -> Entry:
    each.start(os.environ, record)
    entry = record.read()[-1]
    # A moment passes until a new process has its command line, by which it is known.
    assert processes.wait_until(lambda: entry.runs, timeout_seconds=10)
    return entry


async def test_who_does_not_hear_is_killed_at_the_second_signal(record: Record, tmp_path: Path) -> None:
    stubborn = part(tmp_path, STUBBORN)
    entry = start(stubborn, record)
    await eventually(lambda: "ready" in stubborn.log.read_text())
    end([entry], hurried=lambda: True)
    assert not entry.runs


def test_the_pid_of_somebody_else_is_left_alone() -> None:
    mine = Entry("server", os.getpid(), (sys.executable, "-m", "server", "run", "--port", "1"))
    assert not mine.runs
    end([mine])


def test_what_a_killed_demonstration_has_left_is_ended(record: Record, tmp_path: Path) -> None:
    said: list[str] = []
    with only_one(tmp_path, said.append):
        entry = start(part(tmp_path), record)
        held = (tmp_path / "demo.json").read_text()
    (tmp_path / "demo.json").write_text(held)
    end_demonstration(tmp_path, said.append)
    assert not entry.runs
    assert record.read() == []
    assert said == ["ending what a killed demonstration has left: part"]


def test_two_do_not_share_a_directory(tmp_path: Path) -> None:
    with only_one(tmp_path, print), pytest.raises(StackError, match=rf"runs already .* \(pid {os.getpid()}\)"):
        only_one(tmp_path, print).__enter__()
    with only_one(tmp_path, print):
        pass


async def test_why_a_part_has_ended_is_told_from_its_own_log(record: Record, tmp_path: Path) -> None:
    failing = part(tmp_path, r"import sys; print('\0\0no wheels'); sys.exit(3)")
    failing.start(os.environ, record)
    failing.start(os.environ, record)
    with pytest.raises(DemoFailed) as failed:
        await eventually(failing.check)
    assert "the part ended with status 3" in str(failed.value)
    assert str(failed.value).endswith("\nno wheels")
    assert failing.log.with_suffix(".log.1").exists()


def test_only_the_first_signal_interrupts() -> None:
    with Signals() as signals:
        with pytest.raises(KeyboardInterrupt), signals.interrupting():
            signal.raise_signal(signal.SIGTERM)
        assert not signals.again
        signal.raise_signal(signal.SIGINT)
        assert signals.again


def test_a_signal_waits_for_what_must_be_done_whole() -> None:
    done = False
    with Signals() as signals, pytest.raises(KeyboardInterrupt), signals.interrupting(), signals.held():
        signal.raise_signal(signal.SIGINT)
        done = True
    assert done
