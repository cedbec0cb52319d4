"""A private PostgreSQL with PostGIS: a cluster of its own, made at the first start, with one database.

It listens on 127.0.0.1 with a random password (scram) and on a socket that only its owner can reach (trust). Unless
told otherwise it is as durable as PostgreSQL is by default; throw-away clusters for tests may give that up.
"""

import hashlib
import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from server.stack import postgres_binaries, processes
from server.stack.errors import StackError
from server.stack.ports import HOST
from server.stack.postgres_cluster import USER, Cluster
from server.stack.private_server import PrivateServer, Report, silent
from server.stack.run_as import RunAs

DATABASE = "throttlecove"
SETTINGS: Mapping[str, str] = {
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",  # short statements only: compiling them costs more than running them
}
# A killed PostgreSQL still has every commit (the system's page cache survives it); a crashed machine may lose all.
FORGETFUL: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}
_ORPHANS_WITHIN_SECONDS = 5
_ANSWER_SECONDS = 2
_WORK_SECONDS = 60


class PostgresServer(PrivateServer):
    """PostgreSQL in `directory`.

    For tests: with `durable=False` a crash of the machine (not of the server) may lose the cluster, and with
    `copy_of` a cluster that is not there yet is made as a copy of another server's, which must not be running.
    """

    name: ClassVar[str] = "PostgreSQL"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": sessions are ended, everything is written
    tied_signal: ClassVar[signal.Signals] = signal.SIGQUIT

    def __init__(
        self,
        directory: Path,
        *,
        durable: bool = True,
        ephemeral: bool = False,
        settings: Mapping[str, str] | None = None,
        copy_of: "PostgresServer | None" = None,
        report: Report = silent,
    ) -> None:
        super().__init__(directory, ephemeral=ephemeral, report=report)
        self._settings = {**SETTINGS, **({} if durable else FORGETFUL), **(settings or {})}
        self._cluster: Cluster = Cluster(self.directory, template=copy_of._cluster if copy_of else None)

    @property
    def url(self) -> str:
        return self.url_of(DATABASE)

    def url_of(self, database: str) -> str:
        """The address of another database of the same cluster."""
        return f"postgresql://{USER}:{self._cluster.password}@{HOST}:{self.port}/{database}"

    @property
    def sockets(self) -> Path:
        """The directory of its unix socket, which only its owner may enter."""
        # A socket's path may have some 100 bytes, so that a directory deep in a home directory will not do.
        digest = hashlib.sha256(str(self.directory).encode()).hexdigest()[:12]
        return Path("/tmp") / f"throttlecove-{digest}"  # noqa: S108 - ours alone: checked when it is made

    def run_sql(self, statement: str, *, database: str = DATABASE) -> str:
        """Run one statement over the private socket and return its rows, columns divided by `|`.

        For the administration of the cluster; raises StackError with PostgreSQL's own words.
        """
        result = self._psql(statement, database, _WORK_SECONDS)
        if result.returncode != 0:
            raise StackError(f"PostgreSQL refused `{statement}`: {result.stderr.strip()}")
        return result.stdout.strip()

    def is_healthy(self) -> bool:
        if self.pid is None or not self._says_ready():
            return False
        try:
            answer = self._psql("SHOW data_directory", "postgres", _ANSWER_SECONDS)
        except subprocess.TimeoutExpired:
            return False
        return answer.returncode == 0 and answer.stdout.strip() == str(self._cluster.data)

    def start(self) -> bool:
        started = super().start()
        if not self.run_sql(f"SELECT 1 FROM pg_database WHERE datname = '{DATABASE}'", database="postgres"):  # noqa: S608
            self.run_sql(f"CREATE DATABASE {DATABASE}", database="postgres")
        if started:
            self.run_sql("CREATE EXTENSION IF NOT EXISTS postgis")
        return started

    def remove(self) -> None:
        self.stop()
        self._cluster.remove()
        super().remove()

    def _psql(self, statement: str, database: str, timeout_seconds: float) -> subprocess.CompletedProcess[str]:
        address = ["-h", str(self.sockets), "-p", str(self.port), "-U", USER, "-d", database]
        command = [self._cluster.binaries["psql"], "-XAqt", "-v", "ON_ERROR_STOP=1", *address, "-c", statement]
        return postgres_binaries.run(command, self.directory, timeout_seconds=timeout_seconds)

    def _marker(self) -> str:
        return str(self._cluster.data)

    @property
    def _pid_file(self) -> Path:
        return self._cluster.data / "postmaster.pid"

    def _recorded_pid(self) -> int | None:
        try:
            return int(self._pid_lines()[0])
        except (OSError, ValueError, IndexError):
            return None

    def _says_ready(self) -> bool:
        try:
            return self._pid_lines()[-1].strip() == "ready"
        except (OSError, IndexError):
            return False

    def _pid_lines(self) -> list[str]:
        return self._pid_file.read_text().splitlines()

    def _prepare(self) -> None:
        identity = self._cluster.settle()
        if not self._cluster.exists:
            self._report(f"{self.name} {self._cluster.binaries.major}: making a cluster in {self._cluster.place}")
            self._cluster.make(identity)
        self._make_sockets(identity)

    def _make_sockets(self, identity: RunAs) -> None:
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        if not _is_own_directory(self.sockets):
            raise StackError(f"{self.sockets} is in the way and belongs to somebody else; remove it")
        identity.own(self.sockets)

    def _command(self) -> list[str]:
        options = {
            "listen_addresses": HOST,
            "port": str(self.port),
            "unix_socket_directories": str(self.sockets),
            "logging_collector": "off",
            **self._settings,
        }
        set_options = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        prefix = self._cluster.settle().prefix
        return [*prefix, self._cluster.binaries["postgres"], "-D", str(self._cluster.data), *set_options]

    def _environment(self) -> dict[str, str]:
        return postgres_binaries.environment()

    def _working_directory(self) -> Path:
        return self._cluster.place

    def _clean(self) -> None:
        if self.pid is not None:
            return
        self._end_orphans()
        self._pid_file.unlink(missing_ok=True)  # its pid may be somebody else's by now, and PostgreSQL would give up
        if _is_own_directory(self.sockets):
            shutil.rmtree(self.sockets, ignore_errors=True)

    def _end_orphans(self) -> None:
        """Children of a killed postmaster end by themselves; while one is left, no new one starts."""
        orphans = processes.working_in(self._cluster.data)
        if not processes.wait_until(
            lambda: not any(map(processes.is_alive, orphans)), timeout_seconds=_ORPHANS_WITHIN_SECONDS
        ):
            processes.send(orphans, signal.SIGKILL)
            processes.wait_until(
                lambda: not any(map(processes.is_alive, orphans)), timeout_seconds=_ORPHANS_WITHIN_SECONDS
            )


def _is_own_directory(path: Path) -> bool:
    """Whether the path is a real directory that nobody else has put there (in /tmp anybody could)."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    ours = os.geteuid() in (0, status.st_uid)
    return stat.S_ISDIR(status.st_mode) and ours and not status.st_mode & 0o022
