"""What the location feature needs from outside."""

from typing import Protocol
from uuid import UUID


class PolicyCache(Protocol):
    """Sealed policies kept outside Postgres, so that riders are shown (and hidden) rightly while it is away."""

    async def read(self, user_id: UUID) -> bytes | None:
        """The newest policy that was kept, or None. Raises Unavailable."""
        ...

    async def write(self, user_id: UUID, version: int, sealed: bytes) -> None:
        """Keep a policy, unless one of a higher version is there. Raises Unavailable."""
        ...
