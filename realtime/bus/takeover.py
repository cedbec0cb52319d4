"""Which node a rider's dot belongs to: the one that took it over last; the generation says so.

`Takeover` raises it, `RedisBus.settle` writes down on which channels the dot is, so that the next node can clear them.
"""

from dataclasses import dataclass

from realtime.bus.connections import BusOptions, RedisLink, Script

WHERE_SECONDS = 24 * 3600
"""How long a rider's generation and channels are remembered; later ones begin at Redis' time, which is higher."""


def where_key(rider: int) -> str:
    """The hash that says which generation a rider's dot has and where it is."""
    return f"where:{{rider:{rider}}}"


@dataclass(frozen=True)
class Taken:
    """The generation under which this node now shows the rider, and the channels the dot was left on before."""

    generation: int
    left: frozenset[str]


class Takeover:
    """Raises a rider's generation atomically, and knows what moves the dot: usually a track, named by its id."""

    def __init__(self, options: BusOptions, node_id: str = "") -> None:
        """`node_id`: by which this node knows its own, where an answer was lost."""
        self._node_id = node_id
        self._script = Script("take_over")
        self._link = RedisLink(options, name="takeover", scripts=[self._script])

    async def take(self, rider: int, mover: str = "") -> Taken:
        """Make the rider this node's; without a `mover` the dot is only taken off the map. Raises Unavailable.

        The generation is above every earlier one, and at least Redis' time in milliseconds; without Redis a caller
        may go on with its own clock's milliseconds as a provisional generation, and take again when Redis is back.
        The dot has to be taken off the channels in `left`.
        """
        taken, _ = await self._call(rider, mover, "never", "")
        return taken

    async def retake(self, rider: int, generation: int, mover: str = "") -> Taken | None:
        """As `take`, but None when something moves the dot under a later generation, given to another node."""
        taken, ours = await self._call(rider, mover, "later", generation)
        return taken if ours else None

    async def take_from(self, rider: int, mover: str) -> Taken | None:
        """Take the dot off the map if this moves it, wherever; None when it does not."""
        taken, ours = await self._call(rider, "", "other", mover)
        return taken if ours else None

    async def _call(self, rider: int, mover: str, refuse: str, unless: str | int) -> tuple[Taken, bool]:
        command = self._script.call([where_key(rider)], WHERE_SECONDS, mover, refuse, unless, self._node_id)
        generation, channels, taken = await self._link.call(*command)
        return Taken(generation, frozenset(channels.decode().split())), bool(taken)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._link.aclose()
