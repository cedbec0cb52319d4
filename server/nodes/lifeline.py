"""What ties a node to its parent: a socket on which it says that it listens, and sees that its parent has gone."""

import asyncio
import contextlib
import signal
import socket

LISTENS = b"listens"


class Lifeline:
    """The node's end."""

    def __init__(self, descriptor: int) -> None:
        """`descriptor` is of a socket whose other end the parent has."""
        self._socket = socket.socket(fileno=descriptor)
        self._socket.setblocking(False)
        self.orphaned = False
        """Whether the parent is no more."""

    def listens(self) -> None:
        """Tell the parent; from now on this process ends, in good order, when the parent is no more."""
        with contextlib.suppress(OSError):
            self._socket.send(LISTENS)
        asyncio.get_running_loop().add_reader(self._socket, self._gone)

    def _gone(self) -> None:
        """Its end is closed: it says nothing ever."""
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()
        self.orphaned = True
        signal.raise_signal(signal.SIGTERM)
