"""The stream of what is for one rider (`user:<id>`): all sockets of that rider hear it, and nobody else's."""

from collections.abc import Mapping, Sequence

import msgspec

from domain.accounts.tokens import Identity
from domain.kit.errors import Forbidden, Problem
from domain.sharing.events import SharingChanged
from domain.sharing.service import SharingService
from domain.streams.rules import USER_STREAM, user_stream
from realtime.gateway.contracts import Reply


class OwnSettings(Reply, frozen=True):
    """The snapshot of `user:<id>`: what the rider has chosen."""

    sharing: SharingChanged


class OwnStream:
    """Implements the gateway's `StreamKind`."""

    prefix = USER_STREAM

    def __init__(self, sharing: SharingService) -> None:
        self._sharing = sharing

    def from_the_start(self, identity: Identity) -> Sequence[str]:
        """The rider's own."""
        return (user_stream(identity.user_id),)

    async def refusals(self, identity: Identity, names: Sequence[str]) -> Mapping[str, Problem]:
        """Everybody else's."""
        own = user_stream(identity.user_id)
        return {name: Forbidden("this stream is another rider's") for name in names if name != own}

    async def snapshots(self, identity: Identity, names: Sequence[str]) -> Mapping[str, msgspec.Struct]:
        """The rider's settings as they are."""
        chosen = await self._sharing.get(identity.user_id)
        settings = OwnSettings(SharingChanged(chosen.audience, chosen.expires_at_ms, chosen.version))
        return dict.fromkeys(names, settings)
