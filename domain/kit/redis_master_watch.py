"""Has a process leave a master that sentinels have replaced, before that master knows.

One that was replaced on demand goes on as a master until a sentinel tells it, some ten seconds later (after four of its
announcements and a look at everybody's role). Until then no replica confirms what is written there, all of it is lost
in the end, and who connects meanwhile goes to the new one and hears nothing of those who are still there. So sentinels
are asked every second; of their answers that of the highest configuration epoch is the newest, as among themselves.
"""

import structlog
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import RedisError

from domain.kit.clock import Clock
from domain.kit.redis_connections import Maker, heeding_cancellation
from domain.kit.redis_urls import Address, Topology
from domain.kit.tasks import run_together

_ASK_SECONDS = 1.0

_log = structlog.get_logger(__name__)


class MasterWatch:
    """Runs beside the connections that are among the maker's followers."""

    def __init__(self, maker: Maker, clock: Clock) -> None:
        self._maker = maker
        self._clock = clock
        self._said: dict[Address, tuple[int, Address]] = {}
        """Whom each sentinel took for the master when it last answered, behind the epoch of that.

        It counts while the sentinel is silent: the others may be behind it, and nobody goes back to who was replaced.
        """

    async def run(self) -> None:
        """Ask until cancelled; ends at once where the address names no sentinels."""
        if self._maker.url.topology is Topology.SENTINEL:
            sentinels = self._maker.url.addresses
            await run_together(
                "master-watch", {f"{host}:{port}": self._keep_asking((host, port)) for host, port in sentinels}
            )

    async def _keep_asking(self, sentinel: Address) -> None:
        """Each by itself: one that is slow holds up nobody. Why it does not say is logged once until it does."""
        connection = self._maker.make_probe(sentinel)
        says = True
        try:
            while True:
                try:
                    self._said[sentinel] = await heeding_cancellation(self._ask(connection))
                except (RedisError, OSError) as error:
                    if says:
                        _log.warning(
                            "redis_sentinel_silent", sentinel=f"{sentinel[0]}:{sentinel[1]}", reason=str(error)
                        )
                    says = False
                    await connection.disconnect(nowait=True)
                else:
                    says = True
                    self._follow_the_newest()
                await self._clock.sleep(_ASK_SECONDS)
        finally:
            await connection.disconnect(nowait=True)

    async def _ask(self, connection: AbstractConnection) -> tuple[int, Address]:
        """Two questions at once: `MASTER` has the epoch, but the old address until all replicas follow the new one."""
        about, where = (("SENTINEL", about, self._maker.url.service) for about in ("MASTER", "GET-MASTER-ADDR-BY-NAME"))
        await connection.connect()  # type: ignore[no-untyped-call]
        await connection.send_packed_command(connection.pack_commands([about, where]), check_health=False)
        facts, (host, port) = await connection.read_response(), await connection.read_response()
        epoch = dict(zip(facts[::2], facts[1::2], strict=True))[b"config-epoch"]
        return int(epoch), (host.decode(), int(port))

    def _follow_the_newest(self) -> None:
        _, (host, port) = max(self._said.values())
        if left := self._maker.followers.follow((host, port)):
            _log.warning("redis_master_replaced", master=f"{host}:{port}", connections=left)
