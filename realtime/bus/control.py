"""What every node must do soon: close the sockets of a revoked session, look up a changed policy.

A Redis stream, because pub/sub loses what is said while a node reconnects. Promises: every event of the last 20
minutes reaches every node that is up, at least once; the node that announces acts at once, with or without Redis.
Postgres has the truth: when `fresh` is false, ask there.
"""

from collections.abc import Callable
from uuid import UUID

from domain.kit.clock import Clock
from realtime.bus.connections import BusOptions


class ControlLog:
    """Announces and hears control events; implements the domain's RevocationPort and PolicyPort."""

    def __init__(self, clock: Clock, options: BusOptions) -> None:
        raise NotImplementedError

    def attach(self, *, session_revoked: Callable[[UUID, int], None], policy_changed: Callable[[UUID], None]) -> None:
        """Call these for each event, also for one's own; they may be called more than once for the same event."""
        raise NotImplementedError

    async def session_revoked(self, session_id: UUID, expires_at_ms: int) -> None:
        """Tell every node that the session's sockets must close; `expires_at_ms` is when its tokens end anyway."""
        raise NotImplementedError

    async def policy_changed(self, user_id: UUID) -> None:
        """Tell every node that the rider's sharing or zones have changed."""
        raise NotImplementedError

    @property
    def fresh(self) -> bool:
        """Whether nothing announced until a moment ago can have been missed."""
        raise NotImplementedError

    def heard_seconds_ago(self) -> float:
        """How long ago Redis last answered that there is nothing newer; infinite before the first time."""
        raise NotImplementedError

    async def run(self) -> None:
        """Hear (first the last 20 minutes) until cancelled."""
        raise NotImplementedError
