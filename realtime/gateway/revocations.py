"""Was this session revoked? Asked at every CONNECT; answered from memory while the control log is heard.

Without Redis, Postgres is asked. Without both, what this node heard before counts: while both are away nobody can
revoke anything. A node that never heard refuses.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol
from uuid import UUID

from domain.kit.errors import Unavailable


class Hearing(Protocol):
    """How well this node hears the control log."""

    @property
    def fresh(self) -> bool:
        """Whether nothing announced until a moment ago can have been missed."""
        ...


class HeardRevocations:
    """Implements the gateway's `Revocations`; the revocations heard are the gateway's own memory."""

    def __init__(self, hearing: Hearing, ask: Callable[[UUID], Awaitable[bool]]) -> None:
        self._hearing = hearing
        self._ask = ask
        self._ever_heard = False

    async def is_revoked(self, session_id: UUID) -> bool:
        """Whether the session was revoked, as far as the gateway's memory does not know. Raises Unavailable."""
        if self._hearing.fresh:
            self._ever_heard = True
            return False
        try:
            return await self._ask(session_id)
        except Unavailable:
            if self._ever_heard:
                return False
            raise
