"""The SQL of the location feature: short numbers to people and back, and whose policy has changed."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.db.tables import sharing, users
from domain.sharing.rules import PolicyChange


class Person(NamedTuple):
    """A rider as others may know them."""

    rider: int
    user_id: UUID
    name: str


async def people(connection: AsyncConnection, riders: Sequence[int]) -> list[Person]:
    """Who the riders with these numbers are; numbers that are nobody's are left out."""
    query = select(users.c.rider, users.c.id, users.c.username, users.c.full_name).where(users.c.rider.in_(riders))
    rows = (await connection.execute(query)).all()
    return [Person(row.rider, row.id, row.full_name or row.username) for row in rows]


async def policies_changed_since(connection: AsyncConnection, moment: datetime) -> list[PolicyChange]:
    """The riders whose sharing or zones changed at or after this moment, with the version of the change."""
    query = (
        select(sharing.c.user_id, users.c.rider, sharing.c.version)
        .join(users, users.c.id == sharing.c.user_id)
        .where(sharing.c.updated_at >= moment)
    )
    return [PolicyChange(row.user_id, row.rider, row.version) for row in (await connection.execute(query)).all()]
