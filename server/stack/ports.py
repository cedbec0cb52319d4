"""Ports of 127.0.0.1: choosing free ones, and a listener that refuses whoever connects.

Ports are taken from below the kernel's ephemeral range: in it, a client that keeps connecting to a server that is down
can be given the server's own port as its source, connect to itself, and keep the server from coming back.
"""

import contextlib
import random
import shutil
import socket
import struct
import subprocess
import threading
from pathlib import Path

from server.stack.errors import StackError

HOST = "127.0.0.1"
_LOWEST = 15_000
_USUAL_EPHEMERAL_START = 32_768
_EPHEMERAL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_PROC = Path("/proc")
_TCP_TABLES = ("tcp", "tcp6")
_LISTENS = "0A"
_TRIES = 200
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """A port that nobody listens on. Raises StackError when none is found."""
    highest = _ephemeral_start() - 1
    lowest = min(_LOWEST, highest // 2)
    for _ in range(_TRIES):
        port = random.randint(lowest, highest)  # noqa: S311 - no secret, only spread
        if is_free(port):
            return port
    raise StackError(f"no free port between {lowest} and {highest} on {HOST}; stop some of what listens there")


def listener(port: int) -> int | None:
    """The pid of a process that listens on the port, as far as this user may know it."""
    if not _PROC.is_dir():
        return _listener_by_lsof(port)
    sockets = {f"socket:[{inode}]" for table in _TCP_TABLES for inode in _listening(_PROC / "net" / table, port)}
    for descriptor in _PROC.glob("[0-9]*/fd/*") if sockets else ():
        with contextlib.suppress(OSError):  # it is gone, or somebody else's
            if str(descriptor.readlink()) in sockets:
                return int(descriptor.parts[2])
    return None


def _listening(table: Path, port: int) -> list[str]:
    """The inodes of the sockets that listen on the port."""
    try:
        rows = [line.split() for line in table.read_text().splitlines()[1:]]
    except OSError:
        return []
    return [row[9] for row in rows if row[3] == _LISTENS and int(row[1].rpartition(":")[2], 16) == port]


def _listener_by_lsof(port: int) -> int | None:
    lsof = shutil.which("lsof")
    if lsof is None:
        return None
    command = [lsof, "-nP", f"-iTCP:{port}", "-sTCP:LISTEN", "-t"]
    found = subprocess.run(command, capture_output=True, text=True, check=False).stdout.split()  # noqa: S603
    return int(found[0]) if found else None


def _ephemeral_start() -> int:
    try:
        return int(_EPHEMERAL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _USUAL_EPHEMERAL_START


class Refuser:
    """Listens where a server ought to be and resets every connection, until closed."""

    def __init__(self, port: int) -> None:
        self._listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            self._listener.bind((HOST, port))
        except OSError as error:
            self._listener.close()
            raise StackError(f"port {port} is taken by another program") from error
        self._listener.listen()
        self._thread = threading.Thread(target=self._refuse, name=f"refuse:{port}", daemon=True)
        self._thread.start()

    def _refuse(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return  # closed
            with contextlib.suppress(OSError), connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def close(self) -> None:
        """Give the port back."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread on Linux; elsewhere close does
        self._listener.close()
        self._thread.join(timeout=2)
