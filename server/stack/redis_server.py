"""A private Redis that keeps what it acknowledged: every write is on disk before its answer, and nothing is evicted.

The track stream rests on this (`appendfsync always`, `noeviction`). It listens on 127.0.0.1 only, without a password.
"""

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from server.stack import processes
from server.stack.errors import StackError
from server.stack.ports import HOST
from server.stack.private_server import PrivateServer, Report, silent

DURABLE: Mapping[str, str] = {
    "appendonly": "yes",
    "appendfsync": "always",
    "maxmemory-policy": "noeviction",
    "save": '""',  # the append-only file is the truth; snapshots would only be a second one
}
_ANSWER_SECONDS = 1.0


class RedisServer(PrivateServer):
    """Redis in `directory`; `settings` are added to its configuration, and win."""

    name: ClassVar[str] = "Redis"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    tied_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(
        self,
        directory: Path,
        *,
        ephemeral: bool = False,
        settings: Mapping[str, str] | None = None,
        report: Report = silent,
    ) -> None:
        super().__init__(directory, ephemeral=ephemeral, report=report)
        self._settings = dict(settings or {})

    @property
    def url(self) -> str:
        return f"redis://{HOST}:{self.port}/0"

    @property
    def _configuration(self) -> Path:
        return self.directory / "redis.conf"

    @property
    def _data(self) -> Path:
        return self.directory / "data"

    @property
    def _pid_file(self) -> Path:
        return self.directory / "redis.pid"

    def _marker(self) -> str:
        return str(self._configuration)

    def _recorded_pid(self) -> int | None:
        try:
            return int(self._pid_file.read_text())
        except (OSError, ValueError):
            return None

    def start(self) -> bool:
        if self.pid is None:
            self._find_lost()
        return super().start()

    def _find_lost(self) -> None:
        """Redis goes on when its pid file is deleted; a second one on the same files would spoil them."""
        for pid in processes.working_in(self._data):
            if processes.runs(pid, self._marker()):
                self._pid_file.write_text(f"{pid}\n")

    def _prepare(self) -> None:
        self._data.mkdir(mode=0o700, exist_ok=True)

    def _command(self) -> list[str]:
        binary = shutil.which("redis-server")
        if binary is None:
            raise StackError(
                "redis-server is not installed; run `make setup`, or install it by hand: "
                "`apt-get install redis-server`, or `brew install redis`"
            )
        self._configuration.write_text("".join(f"{name} {value}\n" for name, value in self._options().items()))
        return [binary, str(self._configuration)]

    def _options(self) -> dict[str, str]:
        return {
            "bind": HOST,
            "port": str(self.port),
            "dir": _quoted(self._data),
            "pidfile": _quoted(self._pid_file),
            "daemonize": "no",
            "set-proc-title": "no",  # keeps the arguments, by which we know the process
            "tcp-backlog": "128",  # more than many systems allow, and it would warn
            **DURABLE,
            **self._settings,
        }

    def is_healthy(self) -> bool:
        pid = self.pid
        if pid is None:
            return False
        try:
            with self._client() as client:
                client.ping()  # refused while it still loads its data
                about = client.info("server")
        except redis.RedisError:
            return False
        return isinstance(about, dict) and about.get("process_id") == pid

    def _client(self) -> redis.Redis:
        return redis.Redis(
            port=self.port,
            host=HOST,
            socket_timeout=_ANSWER_SECONDS,
            socket_connect_timeout=_ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),  # the callers ask again by themselves
        )

    def _clean(self) -> None:
        if self.pid is None:
            self._pid_file.unlink(missing_ok=True)


def _quoted(path: Path) -> str:
    """A path as Redis reads it in its configuration file."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
