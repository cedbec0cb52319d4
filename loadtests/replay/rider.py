"""One rider riding one track over a connection: live updates, batches, backfill, and everything unanswered again.

Messages go out without waiting for the answers to earlier ones. A fix is done when it is acknowledged or refused for
good; whatever was lost with a socket, or `unavailable`, goes out again in a batch with the same numbers.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.replay import protocol
from loadtests.replay.connection import Connection
from loadtests.replay.ledger import Ledger, Sighting, State
from loadtests.replay.pacer import Pacer
from loadtests.replay.protocol import ConnectionLost, Refused
from loadtests.replay.schedule import Schedule
from loadtests.replay.sight import place_of
from loadtests.replay.sources.tracks import EARLIEST_MS
from loadtests.replay.watcher import Watcher

_BATCH_EVERY_SECONDS = 4.0
_BATCHES_IN_FLIGHT = 4
_UPDATES_IN_FLIGHT = 100
_LOOK_AHEAD_SECONDS = 8.0
_IDLE_SECONDS = 1.0


@dataclass(slots=True)
class Pace:
    """The send interval in force, in seconds: from `session:ready`, `track:start` and `rate:set`."""

    send_interval: float = 1.0
    changed: Callable[[float], None] | None = None

    def set(self, milliseconds: object) -> None:
        """Obey a new interval."""
        if isinstance(milliseconds, int | float) and milliseconds > 0:
            self.send_interval = milliseconds / 1000
            if self.changed is not None:
                self.changed(self.send_interval)

    def handlers(self) -> dict[str, Any]:
        """What the connection calls."""
        return {protocol.RATE_SET: lambda payload: self.set(payload.get("send_interval_ms"))}


class Ride:
    """Rides `ledger.track` by `plan`. Ends when every fix is acknowledged or refused and the track is stopped."""

    def __init__(
        self, connection: Connection, ledger: Ledger, plan: Schedule, pace: Pace, watcher: Watcher | None
    ) -> None:
        self._connection = connection
        self._ledger = ledger
        self._plan = plan
        self._pace = pace
        self._watcher = watcher
        self._track_id = str(ledger.track_id)
        self._started_in = 0
        self._newest_live = -(1 << 62)
        self._in_flight = {protocol.LOCATION_UPDATE: 0, protocol.LOCATION_BATCH: 0}
        self._changed = asyncio.Event()
        self._pacer = Pacer(plan, 0.0, send_interval=1.0, batch_fixes=1, batch_every=_BATCH_EVERY_SECONDS)

    async def run(self) -> None:
        """Ride. Raises Refused when the server does not take the track."""
        ready = await self._connection.wait_ready()
        self._pacer = Pacer(
            self._plan,
            time.monotonic(),
            send_interval=self._pace.send_interval,
            batch_fixes=ready.batch_fixes,
            batch_every=_BATCH_EVERY_SECONDS,
        )
        self._pace.changed = self._set_interval
        try:
            await self._send_all()
            await self._backfill()
        finally:
            self._pace.changed = None

    def _set_interval(self, seconds: float) -> None:
        self._pacer.send_interval = seconds
        self._changed.set()

    async def _backfill(self) -> None:
        """The kept-back stretches: all but the last before the track is stopped, the last one afterwards."""
        before, after = self._plan.late[:-1], self._plan.late[-1:]
        await self._send_late(before)
        await self._stop()
        await self._send_late(after)

    async def _send_late(self, stretches: Sequence[range]) -> None:
        for stretch in stretches:
            self._ledger.late += len(stretch)
            self._pacer.give_back(stretch, time.monotonic())
        await self._send_all()

    async def _start(self) -> None:
        """Tell this connection which track it carries; again after each reconnect, with the same id."""
        connects = self._connection.connects
        first = self._ledger.track.fixes[0].timestamp if self._ledger.track.fixes else EARLIEST_MS
        answer = await self._connection.ask(
            protocol.TRACK_START, {"track_id": self._track_id, "started_at": max(EARLIEST_MS, first)}
        )
        self._pace.set(answer.get("send_interval_ms"))
        if self._watcher is not None and answer.get("rider") is not None:
            self._watcher.follow(int(answer["rider"]))
        self._started_in = connects

    async def _stop(self) -> None:
        last = len(self._ledger.track.fixes) - 1
        self._ledger.stopping_at = time.monotonic()
        await self._connection.ask(protocol.TRACK_STOP, {"track_id": self._track_id, "last_seq": last})
        self._ledger.stopped = True

    async def _send_all(self) -> None:
        """Send whatever falls due until nothing is left and nothing is unanswered."""
        while not (self._pacer.empty and not any(self._in_flight.values())):
            await self._connection.wait_ready()
            self._changed.clear()
            try:
                if not self._ledger.stopped and self._started_in != self._connection.connects:
                    await self._start()
                await self._send_due()
            except ConnectionLost:
                continue
            await self._pause()

    async def _send_due(self) -> None:
        now = time.monotonic()
        if self._in_flight[protocol.LOCATION_UPDATE] < _UPDATES_IN_FLIGHT:
            seq = self._pacer.take_live(now)
            if seq is not None:
                await self._send_live(seq)
        while self._in_flight[protocol.LOCATION_BATCH] < _BATCHES_IN_FLIGHT:
            seqs = self._pacer.take_batch(now)
            if not seqs:
                return
            await self._send_batch(seqs)

    async def _pause(self) -> None:
        """Until something falls due, is answered, or changes."""
        moment = self._pacer.next_at()
        full = (
            self._in_flight[protocol.LOCATION_BATCH] >= _BATCHES_IN_FLIGHT
            or self._in_flight[protocol.LOCATION_UPDATE] >= _UPDATES_IN_FLIGHT
        )
        wait = _IDLE_SECONDS if moment is None or full else moment - time.monotonic()
        if wait <= 0:
            await asyncio.sleep(0)
            return
        try:
            async with asyncio.timeout(min(wait, _IDLE_SECONDS)):
                await self._changed.wait()
        except TimeoutError:
            return

    async def _send_live(self, seq: int) -> None:
        fix = self._ledger.track.fixes[seq]
        watched = await self._be_watched(seq)
        sighting = Sighting(seq, time.monotonic(), watched, older=fix.timestamp <= self._newest_live)
        payload = {"track_id": self._track_id, "fix": fix.payload()}
        if await self._post(protocol.LOCATION_UPDATE, payload, [seq], sighting):
            self._newest_live = max(self._newest_live, fix.timestamp)
            self._ledger.live += 1
            self._ledger.sightings.append(sighting)
            if watched and self._watcher is not None:
                self._watcher.sight.expect(place_of(fix.latitude, fix.longitude), sighting)

    async def _be_watched(self, seq: int) -> bool:
        """The watcher has this position in view before it is sent."""
        if self._watcher is None:
            return False
        fixes = self._ledger.track.fixes
        upcoming = self._pacer.upcoming(time.monotonic(), _LOOK_AHEAD_SECONDS)
        step = max(1, len(upcoming) // 50)
        return await self._watcher.look_at(
            [(fixes[index].latitude, fixes[index].longitude) for index in (seq, *upcoming[::step])]
        )

    async def _send_batch(self, seqs: list[int]) -> None:
        fixes = self._ledger.track.fixes
        payload = {"track_id": self._track_id, "fixes": [fixes[seq].payload() for seq in seqs]}
        if await self._post(protocol.LOCATION_BATCH, payload, seqs, None):
            self._ledger.batched += len(seqs)

    async def _post(self, event: str, payload: dict[str, Any], seqs: list[int], sighting: Sighting | None) -> bool:
        """Send, and settle the fixes when the answer comes. False when the socket is gone."""
        try:
            answer = await self._connection.post(event, payload)
        except ConnectionLost:
            self._pacer.give_back(seqs, time.monotonic())
            return False
        for seq in seqs:
            self._ledger.sent(seq)
        self._in_flight[event] += 1
        answer.add_done_callback(lambda future: self._answered(event, seqs, sighting, future))
        return True

    def _answered(
        self, event: str, seqs: list[int], sighting: Sighting | None, answer: asyncio.Future[dict[str, Any]]
    ) -> None:
        self._in_flight[event] -= 1
        self._changed.set()
        error = ConnectionLost(event) if answer.cancelled() else answer.exception()
        if isinstance(error, Refused) and not error.passes:
            self._refused(event, seqs, error)
        elif error is not None:
            pause = error.retry_after_seconds if isinstance(error, Refused) else 0.0
            self._pacer.give_back(seqs, time.monotonic() + pause)
        else:
            self._accepted(seqs, answer.result())
            if sighting is not None:
                sighting.acknowledged = self._ledger.states[sighting.seq] == State.ACKNOWLEDGED

    def _accepted(self, seqs: list[int], body: dict[str, Any]) -> None:
        for rejected in body.get("rejected") or ():
            if rejected.get("seq") is not None:
                self._ledger.refused(int(rejected["seq"]), str(rejected["code"]))
        for seq in seqs:
            if self._ledger.states[seq] != State.REFUSED:
                self._ledger.acknowledged(seq)

    def _refused(self, event: str, seqs: list[int], refusal: Refused) -> None:
        """Refused for good. The server has to name the bad fixes of a batch; refusing all of it ends the ride."""
        if self._ledger.error is None and event == protocol.LOCATION_BATCH:
            self._ledger.error = f"{event}: {refusal}"
        for seq in seqs:
            self._ledger.refused(seq, refusal.code)
