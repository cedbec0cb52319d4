"""The track stream in Redis: what was appended is on disk before the call returns, or the call says `unavailable`."""

from collections.abc import Sequence
from uuid import UUID

from realtime.bus.connections import BusOptions


class RedisTrackLog:
    """Implements `domain.tracks.ports.TrackLog`."""

    def __init__(self, options: BusOptions, *, stream_limit_bytes: int, replicas: int | None = None) -> None:
        """`replicas`: how many must have an entry before it counts; None: one, from the first time one is seen."""
        raise NotImplementedError

    async def append(self, entries: Sequence[bytes]) -> None:
        raise NotImplementedError

    async def claim_track(self, track_id: UUID, claim: bytes) -> bytes:
        raise NotImplementedError

    async def read_claim(self, track_id: UUID) -> bytes | None:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Close the connections."""
        raise NotImplementedError
