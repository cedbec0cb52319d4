"""Downloads whose readers or sources misbehave, seen from the server's side."""

import asyncio
from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

import pytest

from domain.kit.errors import NotFound, Unavailable
from rest.downloads import Download


class Reader:
    """A client at the other end: takes so many messages, then stalls; it may hang up."""

    def __init__(self, takes: int = 1000) -> None:
        self.heard: list[MutableMapping[str, Any]] = []
        self.gone = asyncio.Event()
        self._takes = takes

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if len(self.heard) == self._takes:
            await asyncio.Event().wait()
        self.heard.append(message)

    async def receive(self) -> MutableMapping[str, Any]:
        await self.gone.wait()
        return {"type": "http.disconnect"}

    @property
    def has_the_end(self) -> bool:
        return bool(self.heard) and self.heard[-1].get("more_body") is False


class Source:
    """Pieces of a file, and whether they were given up."""

    def __init__(self, *pieces: bytes | Exception) -> None:
        self._pieces = pieces
        self.closed = False

    async def __call__(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self._pieces:
                if isinstance(piece, Exception):
                    raise piece
                yield piece
                await asyncio.sleep(0)
        finally:
            self.closed = True


async def download(source: Source, reader: Reader, stall_seconds: float = 5) -> None:
    response = Download(source(), filename="a.gpx", media_type="application/gpx+xml", stall_seconds=stall_seconds)
    await response({"type": "http"}, reader.receive, reader.send)


async def test_a_whole_file_has_an_end() -> None:
    source, reader = Source(b"a", b"b"), Reader()
    await download(source, reader)
    assert [message.get("body") for message in reader.heard] == [None, b"a", b"b", b""]
    assert reader.has_the_end
    assert source.closed


async def test_a_refusal_before_the_first_piece_is_an_answer() -> None:
    reader = Reader()
    with pytest.raises(NotFound):
        await download(Source(NotFound("no")), reader)
    assert not reader.heard


async def test_a_source_that_fails_later_leaves_a_file_without_an_end() -> None:
    source, reader = Source(b"a", Unavailable("away")), Reader()
    await download(source, reader)
    assert len(reader.heard) == 2
    assert not reader.has_the_end
    assert source.closed


async def test_a_reader_that_stalls_is_given_up() -> None:
    source, reader = Source(b"a", b"b", b"c"), Reader(takes=2)
    await download(source, reader, stall_seconds=0.01)
    assert len(reader.heard) == 2
    assert source.closed


async def test_a_reader_that_has_gone_gets_nothing_more() -> None:
    source, reader = Source(*[b"a"] * 1000), Reader()
    reader.gone.set()
    await download(source, reader)
    assert len(reader.heard) < 10
    assert not reader.has_the_end
    assert source.closed
