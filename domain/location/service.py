"""The use cases of the location feature that ask Postgres: who a number is, and whose number it is."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.db.engine import unavailable_when_down
from domain.location import store
from domain.location.store import Person


class RiderDirectory:
    """Short numbers and the people behind them. Every method raises Unavailable when Postgres is away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def rider_of(self, user_id: UUID) -> int | None:
        """The rider's short number, None when the account is gone."""
        async with unavailable_when_down(), self._engine.connect() as connection:
            return await store.rider_of(connection, user_id)

    async def people(self, riders: Sequence[int]) -> list[Person]:
        """Who the riders with these numbers are."""
        async with unavailable_when_down(), self._engine.connect() as connection:
            return await store.people(connection, riders)
