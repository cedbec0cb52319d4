"""The policy that decides who sees a rider: from Postgres, or, while that is away, the newest that was ever read.

Policies hold the rider's zones, so they are sealed wherever they are kept. Where neither store can say, the answer is
None, and the rider is shown to nobody.
"""

from uuid import UUID

import msgspec
import structlog

from domain.kit.errors import Unavailable
from domain.kit.sealed import SealBroken, Sealer
from domain.location.ports import PolicyCache
from domain.sharing.rules import SharingPolicy
from domain.sharing.service import SharingService

_log = structlog.get_logger(__name__)
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(SharingPolicy).decode


class Policies:
    """Finds policies and keeps them for worse times."""

    def __init__(self, sharing: SharingService, cache: PolicyCache, sealer: Sealer) -> None:
        self._sharing = sharing
        self._cache = cache
        self._sealer = sealer

    async def find(self, user_id: UUID) -> SharingPolicy | None:
        """The rider's policy, or None when nobody can say."""
        try:
            policy = await self._sharing.policy_of(user_id)
        except Unavailable:
            return await self._kept(user_id)
        await self._keep(user_id, policy)
        return policy

    async def drop_older(self, user_id: UUID, version: int) -> None:
        """See to it that no older policy decides in worse times; what is kept is renewed, if Postgres can say.

        Raises Unavailable when that is not known to have happened.
        """
        if await self._cache.drop_older(user_id, version):
            await self.find(user_id)

    async def _keep(self, user_id: UUID, policy: SharingPolicy) -> None:
        try:
            await self._cache.write(user_id, policy.version, self._sealer.seal(_encode(policy), _bound_to(user_id)))
        except Unavailable:
            _log.info("policy_not_kept", user_id=str(user_id))

    async def _kept(self, user_id: UUID) -> SharingPolicy | None:
        try:
            sealed = await self._cache.read(user_id)
            return None if sealed is None else _decode(self._sealer.open(sealed, _bound_to(user_id)))
        except (Unavailable, SealBroken, msgspec.DecodeError) as error:
            _log.warning("policy_unknown", user_id=str(user_id), error=type(error).__name__)
            return None


def _bound_to(user_id: UUID) -> str:
    return f"policy:{user_id}"
