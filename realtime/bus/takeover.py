"""Which node a rider's dot belongs to: the one whose phone came last; the generation says so.

`Takeover` raises it, `RedisBus.settle` writes down on which channels the dot is, so that the next node can clear them.
Commands reach Redis in another order than they were meant in: a paused Redis carries out later what a node has given
up, and a node that stood still says late what it had been told long before. So every takeover says since when its
phone is connected and when it spoke up, by Redis' clock, and one that was overtaken is refused (decision 7).
"""

from dataclasses import dataclass

from realtime.bus.connections import BusOptions, RedisLink, Script

WHERE_SECONDS = 24 * 3600
"""How long a rider's generation and channels are remembered; later ones begin at Redis' time, which is higher."""
ORDER_MS = 100
"""Two takeovers that are meant within so short a time count in the order in which they arrive."""


def where_key(rider: int) -> str:
    """The hash that says which generation a rider's dot has and where it is."""
    return f"where:{{rider:{rider}}}"


@dataclass(frozen=True)
class Meant:
    """What puts takeovers in order, by `RedisClock`."""

    connected_ms: int
    """Since when the phone is connected: of one track's takeovers that of the newest connection counts."""
    spoken_ms: int
    """When the phone spoke up for the track: between two tracks the later one counts."""


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

    async def take(self, rider: int, mover: str, meant: Meant) -> Taken | None:
        """Make the rider this node's, moved by this; None when a later takeover was there first. Raises Unavailable.

        The generation is above every earlier one, and at least Redis' time in milliseconds; without Redis a caller
        may go on with that time as a provisional generation, and take again when Redis is back. The dot has to be
        taken off the channels in `left`.
        """
        return await self._call(rider, mover, "stale", "", meant)

    async def retake(self, rider: int, generation: int, mover: str, meant: Meant, *, policy: int = 0) -> Taken | None:
        """As `take`, but None when something moves the dot under a later generation, given to another node.

        Without a `mover` the dot is only taken off the map. `policy`: the newest version that this node has heard of.
        """
        return await self._call(rider, mover, "later", generation, meant, policy)

    async def take_off(self, rider: int, mover: str | None = None, spoken_ms: int = 0) -> Taken | None:
        """Take the dot off the map, wherever it is; with a `mover` only if that moves it, else None.

        `spoken_ms`: a takeover that was meant before this is refused from now on. Raises Unavailable.
        """
        return await self._call(rider, "", "other" if mover else "never", mover or "", Meant(0, spoken_ms))

    async def take_off_unless_known(self, rider: int, policy: int) -> Taken | None:
        """Take the dot off the map, unless a policy of this version or a newer one put it where it is: then None.

        Raises Unavailable.
        """
        return await self._call(rider, "", "known", "", Meant(0, 0), policy)

    async def _call(
        self, rider: int, mover: str, refuse: str, unless: str | int, meant: Meant, policy: int = 0
    ) -> Taken | None:
        generation, channels, taken = await self._link.call(
            *self._script.call(
                [where_key(rider)],
                WHERE_SECONDS,
                mover,
                refuse,
                unless,
                self._node_id,
                meant.connected_ms,
                meant.spoken_ms,
                ORDER_MS,
                policy,
            )
        )
        return Taken(generation, frozenset(channels.decode().split())) if taken else None

    async def aclose(self) -> None:
        """Close the connections."""
        await self._link.aclose()
