"""Asks Postgres every second what hints may have missed: sessions that were revoked, policies that changed.

Hints travel through Redis and are quick; a node that Redis has forgotten still closes a revoked socket, and hides a
rider, within two seconds.
"""

from collections.abc import Callable
from datetime import timedelta
from uuid import UUID

import structlog

from domain.accounts.service import AccountService
from domain.kit.clock import Clock
from domain.kit.errors import Unavailable
from domain.location.service import RiderDirectory

LOOK_SECONDS = 1.0
OVERLAP = timedelta(seconds=15)
"""Clocks of nodes differ, and transactions commit a while after the time they carry."""

_log = structlog.get_logger(__name__)


class Truth:
    """Compares what this node was told with what Postgres has."""

    def __init__(
        self,
        accounts: AccountService,
        directory: RiderDirectory,
        clock: Clock,
        *,
        session_revoked: Callable[[UUID, int], None],
        policy_changed: Callable[[UUID, int], None],
    ) -> None:
        self._accounts = accounts
        self._directory = directory
        self._clock = clock
        self._session_revoked = session_revoked
        self._policy_changed = policy_changed
        self._since = clock.now() - OVERLAP
        self._revoked: set[UUID] = set()
        self._policies: set[tuple[UUID, int]] = set()

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            try:
                await self.look()
            except Unavailable:
                _log.info("truth_waits_for_postgres")

    async def look(self) -> None:
        """Pass on what is new since the last look that succeeded. Raises Unavailable."""
        next_since = self._clock.now() - OVERLAP
        revoked = await self._accounts.revoked_since(self._since)
        changed = set(await self._directory.policies_changed_since(self._since))
        for session_id, expires_at_ms in revoked:
            if session_id not in self._revoked:
                self._session_revoked(session_id, expires_at_ms)
        for user_id, version in changed - self._policies:
            self._policy_changed(user_id, version)
        self._revoked = {session_id for session_id, _ in revoked}
        self._policies = changed
        self._since = next_since
