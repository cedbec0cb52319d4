"""The use cases of the location feature that ask Postgres: who a number is and whose it is, whose policy changed."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncEngine

from domain.db.engine import unavailable_when_down
from domain.location import store
from domain.location.store import Person
from domain.sharing.rules import PolicyChange


class RiderDirectory:
    """Short numbers and the people behind them. Every method raises Unavailable when Postgres is away."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def people(self, riders: Sequence[int]) -> list[Person]:
        """Who the riders with these numbers are."""
        async with unavailable_when_down(), self._engine.connect() as connection:
            return await store.people(connection, riders)

    async def policies_changed_since(self, moment: datetime) -> list[PolicyChange]:
        """The riders whose sharing or zones changed at or after this moment, with the version of the change."""
        async with unavailable_when_down(), self._engine.connect() as connection:
            return await store.policies_changed_since(connection, moment)
