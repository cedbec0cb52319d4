"""What sharing and zones need from outside."""

from typing import Protocol

from domain.sharing.rules import PolicyChange


class PolicyPort(Protocol):
    """Tells every node that who may see a rider has changed."""

    async def policy_changed(self, change: PolicyChange) -> None:
        """A hint, sent after the commit: Postgres has the truth. May raise Unavailable."""
        ...
