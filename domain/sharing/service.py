"""The use cases of sharing: read, choose, and the whole policy that decides who sees a rider."""

from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.db.engine import unavailable_when_down
from domain.kit.clock import Clock
from domain.kit.errors import NotFound, Unavailable
from domain.kit.sealed import SealBroken, Sealer
from domain.sharing import store
from domain.sharing.events import SHARING_CHANGED, SharingChanged
from domain.sharing.ports import PolicyPort
from domain.sharing.rules import DEFAULT_AUDIENCE, Audience, PolicyChange, SharingPolicy, check_choice
from domain.streams.rules import user_stream
from domain.streams.service import Streams
from domain.zones.rules import open_zone

_log = structlog.get_logger(__name__)

_HIDDEN = SharingPolicy(Audience.NOBODY, None, (), 0)
"""What holds when the truth cannot be read: privacy fails closed."""


@dataclass(frozen=True)
class Sharing:
    """Who may see a rider, until when (milliseconds since the epoch, None: without an end), and which change it is."""

    audience: Audience
    expires_at_ms: int | None
    version: int


class SharingService:
    """Reads and changes who may see a rider. Every method raises Unavailable when Postgres is away."""

    def __init__(self, engine: AsyncEngine, clock: Clock, sealer: Sealer, policy: PolicyPort, streams: Streams) -> None:
        self._engine = engine
        self._clock = clock
        self._sealer = sealer
        self._policy = policy
        self._streams = streams

    async def get(self, user_id: UUID) -> Sharing:
        """What the rider chose, or the default."""
        async with unavailable_when_down(), self._engine.connect() as connection:
            chosen = await store.read(connection, user_id)
        return _sharing(chosen)

    async def set(self, user_id: UUID, audience: Audience, expires_at_ms: int | None) -> Sharing:
        """Choose who may see the rider; when it returns it is kept, and the nodes have been told.

        The rider's devices hear of it on the rider's stream.
        Raises Unsupported, Invalid (`expires_at`), NotFound when the account is gone.
        """
        check_choice(audience, expires_at_ms, self._clock.epoch_ms())
        expires_at = None if expires_at_ms is None else datetime.fromtimestamp(expires_at_ms / 1000, UTC)
        try:
            async with self._streams.writing() as writer:
                change = await store.write(writer.connection, user_id, audience, expires_at, self._clock.now())
                changed = SharingChanged(audience, expires_at_ms, change.version)
                await writer.append(user_stream(user_id), SHARING_CHANGED, changed)
        except IntegrityError as error:
            raise NotFound("this account does not exist any more") from error
        await tell(self._policy, change)
        return Sharing(audience, expires_at_ms, change.version)

    async def policy_of(self, user_id: UUID) -> SharingPolicy:
        """All that decides who sees the rider, in one query: nobody, without such a user or with an unreadable zone."""
        async with unavailable_when_down(), self._engine.connect() as connection:
            known = await store.read_policy(connection, user_id)
        if known is None:
            return _HIDDEN
        chosen, sealed = known
        try:
            zones = tuple(open_zone(self._sealer, user_id, each).hidden for each in sealed)
        except SealBroken:
            _log.error("zone_unreadable", user_id=str(user_id))
            return _HIDDEN
        sharing = _sharing(chosen)
        return SharingPolicy(sharing.audience, sharing.expires_at_ms, zones, sharing.version)


async def tell(policy: PolicyPort, change: PolicyChange) -> None:
    """Tell the nodes that a policy changed; a hint that is lost costs a moment, because they look for themselves."""
    try:
        await policy.policy_changed(change)
    except Unavailable:
        _log.warning("policy_hint_lost", user_id=str(change.user_id))


def _sharing(chosen: store.Chosen | None) -> Sharing:
    if chosen is None:
        return Sharing(DEFAULT_AUDIENCE, None, 0)
    expires_at_ms = None if chosen.expires_at is None else round(chosen.expires_at.timestamp() * 1000)
    return Sharing(chosen.audience, expires_at_ms, chosen.version)
