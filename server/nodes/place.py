"""Where the nodes of one machine find one another: their names, and a directory that nobody else may look into."""

import contextlib
import os
import socket
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

_LONGEST_PATH = 100
"""Bytes of a Unix socket's path; the kernel takes 107."""
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True)
class Place:
    """What one node is told of itself and the others when it is started."""

    directory: Path
    names: tuple[str, ...]
    own: str

    @property
    def others(self) -> tuple[str, ...]:
        """The siblings' names."""
        return tuple(name for name in self.names if name != self.own)

    def connections_of(self, name: str) -> str:
        """The path of the Unix socket at which a node is given connections."""
        return str(self.directory / f"{self.names.index(name)}.connections")

    def questions_of(self, name: str) -> str:
        """The path of the Unix socket at which a node answers its siblings."""
        return str(self.directory / f"{self.names.index(name)}.questions")

    def leave(self) -> None:
        """Clean up in the parent's stead: remove this node's sockets, and the directory behind the last node."""
        for path in (self.connections_of(self.own), self.questions_of(self.own)):
            Path(path).unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others are still in it
            self.directory.rmdir()


def names_of(base: str, count: int) -> tuple[str, ...]:
    """The nodes of a machine: the ids of their sessions begin with these, so a proxy can tell the machine by `base`."""
    return tuple(f"{base}.{number}" for number in range(count))


def too_long(directory: Path) -> bool:
    """Whether sockets in that directory have paths that the kernel does not take."""
    return len(os.fsencode(directory / "00.connections")) > _LONGEST_PATH


def possible() -> bool:
    """Whether this system can share a port, and hand connections over, as it is done here."""
    return sys.platform == "linux"


def of_this_user(connection: socket.socket) -> bool:
    """Whether the process at the other end of a Unix socket runs as the same user; root is no exception."""
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _process, user, _group = _CREDENTIALS.unpack(credentials)
    return bool(user == os.getuid())
