"""Was this session revoked? Asked at every CONNECT; answered from memory while nothing can have been missed.

Nothing can when every source is fresh: the control log is heard, and what was revoked before that was read. Otherwise
Postgres is asked. Without it, what this node heard before counts: while Postgres is away nobody can revoke anything. A
node that was never fresh refuses.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol
from uuid import UUID

from domain.kit.errors import Unavailable


class Source(Protocol):
    """Where this node hears of revocations."""

    @property
    def fresh(self) -> bool:
        """Whether nothing announced until a moment ago can have been missed."""
        ...


class HeardRevocations:
    """Implements the gateway's `Revocations`; the revocations heard are the gateway's own memory."""

    def __init__(self, sources: Sequence[Source], ask: Callable[[UUID], Awaitable[bool]]) -> None:
        self._sources = sources
        self._ask = ask
        self._ever_fresh = False

    def all_heard(self) -> bool:
        """Whether nothing can have been missed: who is not among those heard of is not revoked."""
        for source in self._sources:
            if not source.fresh:
                return False
        self._ever_fresh = True
        return True

    async def is_revoked(self, session_id: UUID) -> bool:
        """Whether the session was revoked, as far as the gateway's memory does not know. Raises Unavailable."""
        if self.all_heard():
            return False
        try:
            return await self._ask(session_id)
        except Unavailable:
            if self._ever_fresh:
                return False
            raise
