"""What a demonstration has started, in writing: in `demo.json` of its data directory, so that others can end it.

Promises that one demonstration at a time uses a directory, and that nothing is signalled without a look at its command
line: a recorded pid may by now be somebody else's. Linux ends the parts of a killed demonstration by itself; elsewhere
they live on until they are found here.
"""

import fcntl
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from server.stack import Report, StackError, processes

_STOP_SECONDS = 15
_KILLED_WITHIN_SECONDS = 10
_WHOLE_STOP_SECONDS = 90
"""A demonstration that was asked to end has parts and stores to stop, each with a patience of its own."""


@dataclass(frozen=True)
class Entry:
    """A process that was started."""

    name: str
    pid: int
    command: tuple[str, ...]

    @property
    def runs(self) -> bool:
        """Whether it lives, and is the one that was started."""
        return processes.runs_command(self.pid, self.command)


class Record:
    """The entries of one data directory; the first is the demonstration itself."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "demo.json"

    def read(self) -> list[Entry]:
        """What was written last."""
        try:
            rows = json.loads(self._path.read_text())
            return [Entry(row["name"], int(row["pid"]), tuple(row["command"])) for row in rows]
        except (OSError, ValueError, KeyError, TypeError):
            return []  # nothing was started, or nothing that can be told

    def add(self, entry: Entry) -> None:
        """Write one more, in one step."""
        unfinished = self._path.with_suffix(".unfinished")
        unfinished.write_text(json.dumps([asdict(each) for each in (*self.read(), entry)]) + "\n")
        unfinished.replace(self._path)

    def clear(self) -> None:
        """Forget all."""
        self._path.unlink(missing_ok=True)


def end(entries: Sequence[Entry], *, hurried: Callable[[], bool] = lambda: False) -> None:
    """Ask all to end, then wait for them; kill those that take too long, or all as soon as it is `hurried`."""
    running = [entry for entry in entries if entry.runs]
    processes.send([entry.pid for entry in running], signal.SIGTERM)
    processes.send([entry.pid for entry in running], signal.SIGCONT)  # who is paused could not hear it
    processes.wait_until(lambda: hurried() or not _any_runs(running), timeout_seconds=_STOP_SECONDS)
    processes.send([entry.pid for entry in running if entry.runs], signal.SIGKILL)
    processes.wait_until(lambda: not _any_runs(running), timeout_seconds=_KILLED_WITHIN_SECONDS)


@contextmanager
def only_one(directory: Path, report: Report) -> Iterator[Record]:
    """Hold the directory, with an empty record; what a killed demonstration has left is ended first.

    Raises StackError when another one runs here.
    """
    record = Record(directory)
    with _lock_file(directory).open("a") as lock:
        if not _lock(lock.fileno()):
            raise StackError(f"ThrottleCove runs already from {directory}{_who(record)}; `make stop` ends it")
        _end_left_over(record, report)
        record.add(Entry("demonstration", os.getpid(), tuple(sys.orig_argv)))
        yield record
        record.clear()
        # Said, not left to the closing of the file: a part that was started a moment ago may have it open still.
        fcntl.flock(lock, fcntl.LOCK_UN)


def end_demonstration(directory: Path, report: Report) -> None:
    """End the one that runs in this directory, in good order, or the parts that a killed one has left.

    Raises StackError when it does not end.
    """
    if not _lock_file(directory).exists():
        return
    record = Record(directory)
    with _lock_file(directory).open("a") as lock:
        if not _lock(lock.fileno()):
            report(f"ThrottleCove: stopping it{_who(record)}")
            processes.send([entry.pid for entry in record.read()[:1] if entry.runs], signal.SIGTERM)
            if not processes.wait_until(lambda: _lock(lock.fileno()), timeout_seconds=_WHOLE_STOP_SECONDS):
                raise StackError(f"ThrottleCove{_who(record)} does not end; kill it, then do this again")
        _end_left_over(record, report)


def _end_left_over(record: Record, report: Report) -> None:
    left = [entry for entry in record.read()[1:] if entry.runs]
    if left:
        report(f"ending what a killed demonstration has left: {', '.join(entry.name for entry in left)}")
        end(left)
    record.clear()


def _any_runs(entries: Sequence[Entry]) -> bool:
    return any(entry.runs for entry in entries)


def _who(record: Record) -> str:
    return "".join(f" (pid {entry.pid})" for entry in record.read()[:1])


def _lock_file(directory: Path) -> Path:
    return directory / "demo.lock"


def _lock(descriptor: int) -> bool:
    """Whether it is ours now; the system gives it back when this process ends, however it ends."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
