"""What the recording of tracks needs from outside: a log that outlives the process, and claims on track ids."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID


class TrackLog(Protocol):
    """The track stream: what is appended is, or will be, in PostGIS exactly once."""

    async def append(self, entries: Sequence[bytes]) -> None:
        """Keep the encoded entries, in order, on disk before returning.

        Raises Unavailable when that is not known to have happened (no answer, or the stream is at its limit).
        """
        ...

    async def claim_track(self, track_id: UUID, claim: bytes) -> bytes:
        """Claim a track id for its rider; the first claim wins and is returned. Raises Unavailable."""
        ...

    async def read_claim(self, track_id: UUID) -> bytes | None:
        """The claim on this id, if there is one. Raises Unavailable."""
        ...

    async def forget_claim(self, track_id: UUID) -> None:
        """Take the claim on this id away, once Postgres knows whose it is for ever. Raises Unavailable."""
        ...
