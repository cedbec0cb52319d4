"""The SQL of privacy zones."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.db.tables import privacy_zones


class Kept(NamedTuple):
    """A zone as it is stored."""

    id: UUID
    sealed: bytes
    created_at: datetime


async def all_of(connection: AsyncConnection, user_id: UUID) -> list[Kept]:
    """The rider's zones, oldest first."""
    query = select(privacy_zones.c.id, privacy_zones.c.sealed, privacy_zones.c.created_at)
    rows = await connection.execute(query.where(privacy_zones.c.user_id == user_id).order_by("created_at", "id"))
    return [Kept(*row) for row in rows]


async def count(connection: AsyncConnection, user_id: UUID) -> int:
    """How many zones the rider has."""
    query = select(func.count()).select_from(privacy_zones).where(privacy_zones.c.user_id == user_id)
    number: int = (await connection.execute(query)).scalar_one()
    return number


async def add(connection: AsyncConnection, zone_id: UUID, user_id: UUID, sealed: bytes, now: datetime) -> None:
    """Keep a zone."""
    row = {"id": zone_id, "user_id": user_id, "sealed": sealed, "created_at": now}
    await connection.execute(insert(privacy_zones).values(row))


async def remove(connection: AsyncConnection, zone_id: UUID, user_id: UUID) -> bool:
    """Forget a zone of this rider; whether there was one."""
    mine = (privacy_zones.c.id == zone_id) & (privacy_zones.c.user_id == user_id)
    return (await connection.execute(delete(privacy_zones).where(mine))).rowcount == 1
