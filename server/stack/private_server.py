"""What the private Redis and the private PostgreSQL have in common: one directory, one port, one process.

Starting is idempotent: a healthy server is reused, a hung or dead one replaced, a port that another program has taken
meanwhile exchanged. The faults that tests need (kill, pause, refuse) are here as well, done to the real process.
"""

import os
import shutil
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from server.stack import ports, processes
from server.stack.errors import StackError

_LOG_TAIL_LINES = 12
_LARGEST_LOG_BYTES = 10 * 1024 * 1024
_HUNG_AFTER_SECONDS = 15
"""Of no answer: shorter, and on a busy machine a server that is well would be ended."""
_STARTED_WITHIN_SECONDS = 120
_STOPPED_WITHIN_SECONDS = 60
_PORT_TRIES = 3

Report = Callable[[str], None]


def silent(_line: str) -> None:
    """A report that nobody reads."""


class PrivateServer(ABC):
    """A server that belongs to one directory; every method may be called in any state and from any process."""

    name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    tied_signal: ClassVar[signal.Signals]

    def __init__(self, directory: Path, *, ephemeral: bool = False, report: Report = silent) -> None:
        """`ephemeral` ties the server to the life of this program, where the system can (tests)."""
        self.directory = directory.resolve()
        self._ephemeral = ephemeral
        self._report = report
        self._refuser: ports.Refuser | None = None

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it. Raises StackError before the first start."""

    @abstractmethod
    def _recorded_pid(self) -> int | None:
        """The pid that the server wrote down, right or stale."""

    @abstractmethod
    def _marker(self) -> str:
        """The argument by which the process is known to be ours."""

    @abstractmethod
    def _prepare(self) -> None:
        """Make the directory fit for a start."""

    @abstractmethod
    def _command(self) -> list[str]:
        """What to execute."""

    @abstractmethod
    def is_healthy(self) -> bool:
        """Whether it is our server that answers on our port, and does its work."""

    @abstractmethod
    def _clean(self) -> None:
        """Remove what a server that does not run any more has left outside its data."""

    def _environment(self) -> dict[str, str]:
        return dict(os.environ)

    def _working_directory(self) -> Path:
        return self.directory

    @property
    def log(self) -> Path:
        """The server's own log."""
        return self.directory / "server.log"

    @property
    def pid(self) -> int | None:
        """The pid of the running server, None when there is none."""
        pid = self._recorded_pid()
        return pid if pid is not None and processes.runs(pid, self._marker()) else None

    @property
    def port(self) -> int:
        """The port of 127.0.0.1 that was chosen for it. Raises StackError before the first start."""
        port = self._recorded_port()
        if port is None:
            raise StackError(f"{self.name} in {self.directory} was never started; run `python -m server stack start`")
        return port

    def start(self) -> bool:
        """Make sure that it runs and answers; True when it had to be started. Raises StackError when it cannot be."""
        self._stop_refusing()
        self.directory.mkdir(mode=0o711, parents=True, exist_ok=True)  # may be passed through, not looked into
        if self._reuse():
            return False
        self._clean()
        self._prepare()
        for _ in range(_PORT_TRIES):
            self._choose_port()
            if self._launch():
                self._report(f"{self.name}: runs on port {self.port}, pid {self.pid}")
                return True
        raise StackError(f"{self.name} found its port taken {_PORT_TRIES} times; see {self.log} and start again")

    def _reuse(self) -> bool:
        pid = self.pid
        if pid is None:
            return False
        processes.send(processes.family(pid), signal.SIGCONT)  # a paused server is as good as a running one
        if processes.wait_until(lambda: self.is_healthy() or self.pid is None, timeout_seconds=_HUNG_AFTER_SECONDS):
            if self.pid is not None:
                self._report(f"{self.name}: already runs on port {self.port}, pid {pid}")
                return True
        else:
            self._report(f"{self.name}: process {pid} runs but does not answer; starting it anew")
            self.stop()
        return False

    def _launch(self) -> bool:
        """Start the process and wait until it answers; False when its port was taken under its feet."""
        self._shorten_log()
        pid = processes.spawn(
            self._command(),
            directory=self._working_directory(),
            log=self.log,
            environment=self._environment(),
            dies_by=self.tied_signal if self._ephemeral else None,
        )
        ready = processes.wait_until(
            lambda: not processes.is_alive(pid) or (self.pid == pid and self.is_healthy()),
            timeout_seconds=_STARTED_WITHIN_SECONDS,
        )
        if processes.is_alive(pid):
            if not ready:
                raise StackError(f"{self.name} does not answer after {_STARTED_WITHIN_SECONDS} s; see {self.log}")
            return True
        if not ports.is_free(self.port):
            return False
        raise StackError(f"{self.name} ended while starting. The end of {self.log}:\n{self._log_tail()}")

    def stop(self) -> bool:
        """End it in good order, or by force when it does not end; True when it ran."""
        self._stop_refusing()
        pid = self.pid
        if pid is not None:
            members = processes.family(pid)
            processes.send([pid], self.stop_signal)
            processes.send(members, signal.SIGCONT)
            if not processes.wait_until(lambda: not processes.is_alive(pid), timeout_seconds=_STOPPED_WITHIN_SECONDS):
                self._report(f"{self.name}: did not end within {_STOPPED_WITHIN_SECONDS} s; killed")
                processes.kill_family(pid)
        self._clean()
        return pid is not None

    def remove(self) -> None:
        """Stop it and delete all that it has stored."""
        self.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL it and its children, as a crash or the memory killer would."""
        pid = self.pid
        if pid is not None:
            processes.kill_family(pid)

    def pause(self) -> None:
        """SIGSTOP it and its children: connections stay open, and nothing answers."""
        pid = self.pid
        if pid is not None:
            processes.stop_family(pid)

    def resume(self) -> None:
        """Let a paused server go on."""
        pid = self.pid
        if pid is not None:
            processes.send(processes.family(pid), signal.SIGCONT)

    def refuse(self) -> None:
        """Kill it and reset every connection to its port, until the next start or stop."""
        self.kill()
        if self._refuser is None:
            self._refuser = ports.Refuser(self.port)

    def _stop_refusing(self) -> None:
        if self._refuser is not None:
            self._refuser.close()
            self._refuser = None

    @property
    def _port_file(self) -> Path:
        return self.directory / "port"

    def _recorded_port(self) -> int | None:
        try:
            return int(self._port_file.read_text())
        except (OSError, ValueError):
            return None

    def _choose_port(self) -> None:
        recorded = self._recorded_port()
        if recorded is not None and ports.is_free(recorded):
            return
        port = ports.free_port()
        if recorded is not None:
            self._report(f"{self.name}: port {recorded} is taken by another program; using {port} from now on")
        self._port_file.write_text(f"{port}\n")

    def _shorten_log(self) -> None:
        if self.log.exists() and self.log.stat().st_size > _LARGEST_LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))

    def _log_tail(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(f"  {line}" for line in lines[-_LOG_TAIL_LINES:])
