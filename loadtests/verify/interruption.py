"""Kills the track writer with SIGKILL while entries are pending in its consumer group, and starts another one.

The worker is held (SIGSTOP) the moment entries are seen pending, so that the count is of entries it truly had in hand.
"""

import asyncio
import signal
import time
from collections.abc import Callable

import redis.asyncio
from redis.exceptions import RedisError, ResponseError

from loadtests.replay.fleet import Fleet
from loadtests.verify.processes import Process, System

STREAM = "tracks:stream"
GROUP = "writers"
_POLL_SECONDS = 0.002
_WITHOUT_WORKER_SECONDS = 3.0
_LONGEST_WATCH_SECONDS = 60.0


class Interruption:
    """Kills the worker once `share` of the fixes are acknowledged."""

    def __init__(self, system: System, say: Callable[[str], None], *, share: float = 0.3) -> None:
        self._system = system
        self._say = say
        self._share = share

    async def __call__(self, fleet: Fleet) -> int:
        """The number of entries that were pending when the worker was dead; 0 when none ever were.

        Raises DidNotStart when a part of the system ends by itself meanwhile.
        """
        await self._under_way(fleet)
        async with redis.asyncio.Redis.from_url(self._system.redis_url) as client:
            worker = self._system.worker
            if worker is None or not await self._catch(client, worker):
                self._say("the worker never had entries pending; it is not killed")
                return 0
            worker.signal(signal.SIGKILL)
            await worker.ended()
            pending = await pending_entries(client)
        self._say(f"worker killed with {pending} entries pending")
        await asyncio.sleep(_WITHOUT_WORKER_SECONDS)
        self._system.start_worker()
        self._say("another worker started")
        return pending

    async def _under_way(self, fleet: Fleet) -> None:
        """Until enough is acknowledged for the kill to matter."""
        while True:
            fixes = sum(len(ledger.track.fixes) for ledger in fleet.ledgers)
            acknowledged = sum(ledger.acknowledged_count for ledger in fleet.ledgers)
            if fixes and acknowledged >= self._share * fixes:
                return
            self._system.check()
            await asyncio.sleep(0.2)

    async def _catch(self, client: "redis.asyncio.Redis", worker: Process) -> bool:
        """Hold the worker with entries in hand; False when that does not succeed in time."""
        deadline = time.monotonic() + _LONGEST_WATCH_SECONDS
        while time.monotonic() < deadline:
            if await pending_entries(client):
                worker.signal(signal.SIGSTOP)
                if await pending_entries(client):
                    return True
                worker.signal(signal.SIGCONT)
            await asyncio.sleep(_POLL_SECONDS)
        return False


async def pending_entries(client: "redis.asyncio.Redis") -> int:
    """How many entries were handed to a writer and not acknowledged yet."""
    try:
        summary = await client.xpending(STREAM, GROUP)
    except ResponseError:  # no stream or no group yet
        return 0
    except RedisError:
        return 0
    return int(summary["pending"])
