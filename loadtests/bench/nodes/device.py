"""One device that follows its rider's stream through all its connections, and keeps account of every event.

It does as the documentation of `session:resume` asks: after each return it resumes from the last number it has, and
what comes by itself before the answer waits for that. It goes when the server tells it to.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from loadtests.bench.nodes.client import Client
from loadtests.bench.wire.accounts import Rider

_AGAIN_SECONDS = (0.1, 0.3)
"""After a refusal, of a connection or of `session:resume`."""
_COMES_BACK_SECONDS = (0.5, 1.5)
"""After a connection that was lost without notice, as official clients do."""
_PATIENCE_SECONDS = 10.0
"""For a connection to stand, until another one is tried."""
_TUNNEL = "tunnel"
_TOLD = "told to go"
_LOST = "lost"


@dataclass
class Account:
    """What became of one device."""

    twice: int = 0
    """Events that came again on the same connection."""
    unproven: int = 0
    """Returns after which continuity was not proved."""
    recovered: int = 0
    """Events that answers of `session:resume` brought."""
    errors: dict[str, int] = field(default_factory=dict)
    """By code."""
    recoveries: list[float] = field(default_factory=list)
    """Seconds from the first attempt to connect until all missed events were in hand."""
    absences: list[float] = field(default_factory=list)
    """Seconds from the end of a connection until all missed events were in hand."""


@dataclass(frozen=True)
class Tunnels:
    """A device that drives through tunnels: so long it stays connected, so long it is away, in seconds."""

    stays: float
    away: float


class Device:
    """Run `run` as a task; the account is complete at any moment."""

    def __init__(self, rider: Rider, port: Callable[[], int]) -> None:
        """`port` says where to connect now."""
        self.auth = rider.auth
        self.stream = f"user:{rider.user_id}"
        self.account = Account()
        self.received: set[int] = set()
        self.first: int | None = None
        """The number behind which it began; None before it was told."""
        self.seq = 0
        """Everything up to this one is in hand, or was given up."""
        self.tunnels: Tunnels | None = None
        self._port = port
        self._epoch = ""
        self._client: Client | None = None
        self._end: asyncio.Future[str]
        """Why the connection is over."""
        self._level: asyncio.Future[None]
        """Done when all missed events are in hand."""
        self._resuming = False
        self._on_connection: set[int] = set()
        self._held: list[int] = []

    async def run(self) -> None:
        """Be connected whenever that is possible, until cancelled."""
        loop = asyncio.get_running_loop()
        gone_at = None
        is_here = False
        try:
            while True:
                back_at = loop.time()
                await self._come()
                is_here = True
                if gone_at is not None:
                    self.account.recoveries.append(loop.time() - back_at)
                    self.account.absences.append(loop.time() - gone_at)
                why = await self._stay(first=gone_at is None)
                gone_at, is_here = loop.time(), False
                await asyncio.sleep(self._pause_after(why))
        finally:
            if gone_at is not None and not is_here:  # who has not come back yet has been away for so long at least
                self.account.absences.append(loop.time() - gone_at)
            self._hang_up()

    async def _come(self) -> None:
        """Connect, and have what was missed; again and again until that is done."""
        loop = asyncio.get_running_loop()
        while True:
            self._end, self._level = loop.create_future(), loop.create_future()
            self._on_connection, self._held, self._resuming = set(), [], False
            port = self._port()
            client = self._client = Client(self, port)
            try:
                await loop.create_connection(partial(_same, client), "127.0.0.1", port)
            except OSError:
                self._error("not let in")
            else:
                either: list[asyncio.Future[Any]] = [self._end, self._level]
                await asyncio.wait(either, timeout=_PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if self._level.done() and not self._end.done():
                    return
                self._error("lost before it stood")
                self._hang_up()
            await asyncio.sleep(random.uniform(*_AGAIN_SECONDS))

    async def _stay(self, *, first: bool) -> str:
        """Why the connection ended."""
        tunnels = self.tunnels
        # At first all are somewhere on their way to the next tunnel.
        seconds = tunnels.stays * (random.random() if first else 1.0) if tunnels else None
        await asyncio.wait([self._end], timeout=seconds)
        if self._end.done():
            return self._end.result()
        if self.tunnels is None:  # the last tunnel was taken away meanwhile
            return await self._end
        self._hang_up()
        return _TUNNEL

    def _pause_after(self, why: str) -> float:
        if why == _TUNNEL and self.tunnels is not None:
            return self.tunnels.away
        return random.uniform(*_COMES_BACK_SECONDS) if why == _LOST else 0.0

    def _hang_up(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.reset()

    # What the client calls

    def heard(self, event: str, payload: dict[str, Any]) -> None:
        """See `Owner`."""
        if payload.get("stream") == self.stream:
            self._event(int(payload["seq"]))
        elif event in {"session:ready", "session:streams"}:
            head = payload["streams"].get(self.stream)
            if head is not None:
                self._begin(head["epoch"], head["head"])
        elif event == "session:drain":
            asyncio.get_running_loop().call_later(payload["reconnect_after_ms"] / 1000, self._go, self._client)
        elif event == "error":
            self._error(payload["code"])

    def ended(self, client: Client) -> None:
        """See `Owner`."""
        if client is self._client:
            self._over(_LOST)

    def _go(self, client: Client | None) -> None:
        if client is not None and client is self._client:
            self._over(_TOLD)
            self._hang_up()

    def _over(self, why: str) -> None:
        if not self._end.done():
            self._end.set_result(why)

    # The stream

    def _begin(self, epoch: str, head: int) -> None:
        if self.first is None:
            self.first = self.seq = head
            self._epoch = epoch
            self._is_level()
        elif not self._level.done():
            self._resume()

    def _resume(self) -> None:
        if self._client is not None and not self._end.done():
            self._resuming = True
            wanted = {"streams": {self.stream: {"epoch": self._epoch, "seq": self.seq}}}
            self._client.emit("session:resume", wanted, self._resumed)

    def _resumed(self, body: dict[str, Any]) -> None:
        if error := body.get("error"):
            self._error(error["code"])
            asyncio.get_running_loop().call_later(random.uniform(*_AGAIN_SECONDS), self._resume)
            return
        answer = body["streams"][self.stream]
        self._resuming = False
        for _, payload in answer.get("events") or ():
            self.account.recovered += 1
            self._arrived(int(payload["seq"]))
            self._have(int(payload["seq"]))
        if not answer["recovered"]:
            self.account.unproven += 1
            self._epoch, self.seq = answer["epoch"], answer["head"]
        for seq in self._held:
            self._have(seq)
        self._is_level()

    def _event(self, seq: int) -> None:
        self._arrived(seq)
        if self._resuming or not self._level.done():
            self._held.append(seq)
        else:
            self._have(seq)

    def _arrived(self, seq: int) -> None:
        self.account.twice += seq in self._on_connection
        self._on_connection.add(seq)

    def _have(self, seq: int) -> None:
        self.received.add(seq)
        self.seq = max(self.seq, seq)

    def _is_level(self) -> None:
        if not self._level.done():
            self._level.set_result(None)

    def _error(self, code: str) -> None:
        self.account.errors[code] = self.account.errors.get(code, 0) + 1


def _same(client: Client) -> Client:
    return client
