"""What accounts need from outside."""

from typing import Protocol
from uuid import UUID


class RevocationPort(Protocol):
    """Tells every node that a sign-in has ended, so that its sockets close now."""

    async def session_revoked(self, session_id: UUID, expires_at_ms: int) -> None:
        """A hint, sent after the commit: Postgres has the truth, and nodes that miss it find it there.

        `expires_at_ms` is when the last access token of the session ends by itself. May raise Unavailable.
        """
        ...
