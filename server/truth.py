"""Asks Postgres every second what hints may have missed: sessions that were revoked, policies that changed.

Hints travel through Redis and are quick; a node that Redis has forgotten still closes a revoked socket, and hides a
rider, within two seconds. The first look goes back to the oldest token that may still live: only then does the node
know who must not be let in, whatever Redis has lost; and to the oldest position that may still be shown, by nodes that
did not live to take it back.
"""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import structlog

from domain.accounts.service import AccountService
from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.location.service import RiderDirectory
from domain.sharing.rules import PolicyChange

LOOK_SECONDS = 1.0
ALLOWANCE = timedelta(seconds=30)
"""Clocks of nodes differ, and a transaction has waits and statements before the one that commits it."""

_log = structlog.get_logger(__name__)


class Truth:
    """Compares what this node was told with what Postgres has."""

    def __init__(
        self,
        accounts: AccountService,
        directory: RiderDirectory,
        clock: Clock,
        *,
        token_seconds: float,
        statement_seconds: float,
        position_seconds: float,
    ) -> None:
        """How long an access token lives, how long a commit may take, and how long a position is shown."""
        self._accounts = accounts
        self._directory = directory
        self._clock = clock
        self._overlap = timedelta(seconds=statement_seconds) + ALLOWANCE
        self._policies_since = clock.now() - self._overlap - timedelta(seconds=position_seconds)
        self._revoked_since = clock.now() - self._overlap - timedelta(seconds=token_seconds)
        self._revoked: set[UUID] = set()
        self._policies: set[PolicyChange] = set()
        self._on_session_revoked: Callable[[UUID, int], None] = lambda session_id, expires_at_ms: None
        self._on_policy_changed: Callable[[PolicyChange], None] = lambda change: None
        self.fresh = False
        """Whether a look has succeeded: every session whose tokens may still live is known if it was revoked."""

    def attach(
        self, *, session_revoked: Callable[[UUID, int], None], policy_changed: Callable[[PolicyChange], None]
    ) -> None:
        """Call these for what is new; they may be called for what the node has heard already."""
        self._on_session_revoked = session_revoked
        self._on_policy_changed = policy_changed

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                await self.look()
            except Unavailable:
                _log.info("truth_waits_for_postgres")
            await self._clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Pass on what is new since the last look that succeeded. Raises Unavailable."""
        next_since = self._clock.now() - self._overlap
        revoked = await self._accounts.revoked_since(self._revoked_since)
        changed = set(await self._directory.policies_changed_since(self._policies_since))
        for session_id, expires_at_ms in revoked:
            if session_id not in self._revoked:
                self._on_session_revoked(session_id, expires_at_ms)
        for change in changed - self._policies:
            self._on_policy_changed(change)
        self._revoked = {session_id for session_id, _ in revoked}
        self._policies = changed
        self._revoked_since = self._policies_since = next_since
        self.fresh = True
