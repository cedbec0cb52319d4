"""Which node a rider's dot belongs to: the one that took it over last; the generation says so."""

from dataclasses import dataclass

from realtime.bus.connections import BusOptions


@dataclass(frozen=True)
class Taken:
    """The generation under which this node now shows the rider, and the channels the dot was left on before."""

    generation: int
    left: frozenset[str]


class Takeover:
    """Raises a rider's generation atomically."""

    def __init__(self, options: BusOptions) -> None:
        raise NotImplementedError

    async def take(self, rider: int) -> Taken:
        """Make the rider this node's. Raises Unavailable.

        The generation is above every earlier one, and at least Redis' time in milliseconds; without Redis a caller
        may go on with its own clock's milliseconds as a provisional generation, and take again when Redis is back.
        Pass `left` to `Hub.put(..., left=...)` with the first position.
        """
        raise NotImplementedError
