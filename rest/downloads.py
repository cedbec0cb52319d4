"""Files sent while they are made: in pieces, at the reader's pace, and only to its end if there is one.

Promises that a refusal before the first piece is answered as a problem; that a file that cannot be finished is broken
off (the connection closes without the last chunk), so that no client takes it for the whole; and that a reader who
stalls or has gone does not keep what the file is made from.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator

import structlog
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from domain.kit.errors import Problem

STALL_SECONDS = 20.0
"""How long a reader may take for one piece (about 64 KiB): slower than the slowest mobile network."""

_log = structlog.get_logger(__name__)


class Download(StreamingResponse):
    """A file under a name of ASCII letters, digits, dots and dashes. `pieces` has one at least."""

    def __init__(
        self,
        pieces: AsyncGenerator[bytes, None],
        *,
        filename: str,
        media_type: str,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        headers = {"Content-Disposition": f'attachment; filename="{filename}"'}
        super().__init__(pieces, headers=headers, media_type=media_type)
        self._pieces = pieces
        self._stall_seconds = stall_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # All in one task, because the pieces may hold what belongs to the task that began them.
        gone = asyncio.create_task(_until_gone(receive), name="download:listener")
        try:
            async with contextlib.aclosing(self._pieces):
                await self._send_all(gone, send)
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)

    async def _send_all(self, gone: "asyncio.Task[None]", send: Send) -> None:
        piece: bytes | None = await anext(self._pieces)
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            while piece is not None:
                if gone.done():
                    return
                async with asyncio.timeout(self._stall_seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await anext(self._pieces, None)
        except (Problem, TimeoutError) as error:
            _log.warning("download_broken_off", error=type(error).__name__)
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
