"""The use cases of privacy zones: list, draw, remove. Every change raises the version of the rider's policy."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import numpy as np
import numpy.typing as npt
import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.db.engine import unavailable_when_down
from domain.kit.clock import Clock
from domain.kit.errors import Conflict, NotFound
from domain.kit.ids import uuid7
from domain.kit.sealed import SealBroken, Sealer
from domain.sharing.ports import PolicyPort
from domain.sharing.service import tell
from domain.sharing.store import raise_version, read_policy
from domain.zones import store
from domain.zones.rules import MOST_ZONES, Place, check_place, hide, open_zone, seal_zone
from geo.geodesics import FloatArray
from geo.zones import EVERYWHERE, Zone, inside_each

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Mask:
    """What of a rider's recorded positions is not shown: displaced zones. A higher version is newer."""

    zones: tuple[Zone, ...] = ()
    version: int = 0

    def hides(self, latitudes: FloatArray, longitudes: FloatArray) -> npt.NDArray[np.bool_]:
        """Which of n positions (degrees) are hidden: an array of shape (n,)."""
        return inside_each(self.zones, latitudes, longitudes)


@dataclass(frozen=True)
class PrivacyZone:
    """A zone as its rider drew it; for nobody else's eyes."""

    id: UUID
    place: Place
    created_at: datetime


class ZoneService:
    """Keeps riders' privacy zones. Every method raises Unavailable when Postgres is away.

    `displacement_secret` decides how zones are displaced; with another one, zones drawn again move.
    """

    def __init__(
        self, engine: AsyncEngine, clock: Clock, sealer: Sealer, policy: PolicyPort, displacement_secret: str
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._sealer = sealer
        self._policy = policy
        self._secret = displacement_secret.encode()

    async def all_of(self, user_id: UUID) -> list[PrivacyZone]:
        """The rider's zones, oldest first."""
        async with unavailable_when_down(), self._engine.connect() as connection:
            rows = await store.all_of(connection, user_id)
        return [PrivacyZone(row.id, open_zone(self._sealer, user_id, row.sealed).place, row.created_at) for row in rows]

    async def mask_of(self, user_id: UUID) -> Mask:
        """What hides the rider's positions from others. Zones that cannot be read hide everything: it fails closed."""
        async with unavailable_when_down(), self._engine.connect() as connection:
            known = await read_policy(connection, user_id)
        if known is None:
            return Mask((EVERYWHERE,))
        chosen, sealed = known
        version = chosen.version if chosen else 0
        try:
            return Mask(tuple(open_zone(self._sealer, user_id, each).hidden for each in sealed), version)
        except SealBroken:
            _log.error("zone_unreadable", user_id=str(user_id))
            return Mask((EVERYWHERE,), version)

    async def add(self, user_id: UUID, place: Place) -> PrivacyZone:
        """Draw a zone; when it returns it is kept, and the nodes have been told.

        Raises Invalid, Conflict when the rider has as many as there may be, NotFound when the account is gone.
        """
        place = check_place(place)
        sealed = seal_zone(self._sealer, user_id, hide(place, user_id, self._secret))
        now = self._clock.now()
        zone = PrivacyZone(uuid7(self._clock.epoch_ms()), place, now)
        try:
            async with unavailable_when_down(), self._engine.begin() as connection:
                change = await raise_version(connection, user_id, now)  # first: its lock makes the count below exact
                if await store.count(connection, user_id) >= MOST_ZONES:
                    raise Conflict(f"there are {MOST_ZONES} zones already; remove one first")
                await store.add(connection, zone.id, user_id, sealed, now)
        except IntegrityError as error:
            raise NotFound("this account does not exist any more") from error
        await tell(self._policy, change)
        return zone

    async def remove(self, user_id: UUID, zone_id: UUID) -> None:
        """Forget a zone. Raises NotFound when the rider has none of this id."""
        async with unavailable_when_down(), self._engine.begin() as connection:
            if not await store.remove(connection, zone_id, user_id):
                raise NotFound("there is no such zone")
            change = await raise_version(connection, user_id, self._clock.now())
        await tell(self._policy, change)
