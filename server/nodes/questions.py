"""Questions of siblings to one another over Unix sockets: one word, one answer, within a bound."""

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Mapping

from server.nodes.place import of_this_user

Answers = Mapping[str, Callable[[], Awaitable[bytes]]]
"""By question."""

_LONGEST_WORD = 64
_PATIENCE_SECONDS = 5.0
"""For a sibling that has asked to read the answer."""


class Answering:
    """Answers siblings from `open` to `close`."""

    def __init__(self, path: str, answers: Answers) -> None:
        self._path = path
        self._answers = answers
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Begin to listen. Raises OSError."""
        self._server = await asyncio.start_unix_server(self._asked, self._path, limit=_LONGEST_WORD)

    def close(self) -> None:
        """Answer no more."""
        if self._server is not None:
            self._server.close()

    async def _asked(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Who has gone, asks too much, or something that nobody knows, gets no answer, which is one.
        with contextlib.suppress(OSError, TimeoutError, asyncio.LimitOverrunError, asyncio.IncompleteReadError):
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._answer(reader, writer)
            finally:
                writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        endpoint: socket.socket = writer.get_extra_info("socket")
        if not of_this_user(endpoint):
            return
        question = (await reader.readuntil(b"\n")).decode("ascii", "replace").strip()
        answer = self._answers.get(question)
        if answer is not None:
            writer.write(await answer())
            await writer.drain()


async def ask(path: str, question: str) -> bytes | None:
    """What the node that answers there says; None when there is none."""
    try:
        reader, writer = await asyncio.open_unix_connection(path)
    except OSError:
        return None
    try:
        writer.write(f"{question}\n".encode())
        return await reader.read(-1) or None
    except OSError:
        return None
    finally:
        writer.close()
