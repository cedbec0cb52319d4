"""The processes of the demonstration: started on record, each with a log of its own, and tied to it where Linux can."""

import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from server.demo.record import Entry, Record
from server.stack import processes

_TAIL_LINES = 15


class DemoFailed(Exception):
    """A part did not start or ended by itself; the message says which, and where its log is."""


class Part:
    """One process of the demonstration."""

    def __init__(self, name: str, command: Sequence[str], logs: Path) -> None:
        self.name = name
        self.log = logs / f"{name}.log"
        self._command = tuple(command)
        self._pid: int | None = None

    def start(self, environment: Mapping[str, str], record: Record) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches only the demonstration; the old log is kept.

        Not to be interrupted: between its start and its entry in the record nobody would know of it.
        """
        self.log.parent.mkdir(parents=True, exist_ok=True)
        if self.log.exists():
            self.log.replace(self.log.with_suffix(".log.1"))
        self._pid = processes.spawn(
            self._command, directory=Path.cwd(), log=self.log, environment=environment, dies_by=signal.SIGTERM
        )
        record.add(Entry(self.name, self._pid, self._command))

    def check(self) -> None:
        """Raise DemoFailed when it has ended by itself."""
        if self._pid is None:
            return
        ended, status = os.waitpid(self._pid, os.WNOHANG)
        if ended:
            self._pid = None
            raise DemoFailed(f"the {self.name} {_how(status)}; see {self.log}\n{self._tail()}")

    def _tail(self) -> str:
        text = self.log.read_text(errors="replace").replace("\0", "")
        return "\n".join(text.splitlines()[-_TAIL_LINES:])


def _how(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with status {code}"
