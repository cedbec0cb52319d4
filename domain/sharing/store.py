"""The SQL of sharing."""

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.db.tables import privacy_zones, sharing, users
from domain.sharing.rules import DEFAULT_AUDIENCE, Audience, PolicyChange


class Chosen(NamedTuple):
    """What a rider chose."""

    audience: Audience
    expires_at: datetime | None
    version: int


async def read(connection: AsyncConnection, user_id: UUID) -> Chosen | None:
    """What the rider chose, None when nothing."""
    query = select(sharing.c.audience, sharing.c.expires_at, sharing.c.version).where(sharing.c.user_id == user_id)
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else Chosen(Audience(row.audience), row.expires_at, row.version)


async def write(
    connection: AsyncConnection, user_id: UUID, audience: Audience, expires_at: datetime | None, now: datetime
) -> PolicyChange:
    """Keep the choice; the new version is returned."""
    return await _upsert(connection, user_id, now, {"audience": audience.value, "expires_at": expires_at})


async def raise_version(connection: AsyncConnection, user_id: UUID, now: datetime) -> PolicyChange:
    """Say that the rider's policy changed beside the audience; holds the rider's row until the transaction ends."""
    return await _upsert(connection, user_id, now, {})


async def _upsert(connection: AsyncConnection, user_id: UUID, now: datetime, chosen: dict[str, Any]) -> PolicyChange:
    new = {"user_id": user_id, "audience": DEFAULT_AUDIENCE.value, "version": 1, "updated_at": now} | chosen
    changed = {"version": sharing.c.version + 1, "updated_at": now} | chosen
    statement = insert(sharing).values(new).on_conflict_do_update(index_elements=["user_id"], set_=changed)
    rider = select(users.c.rider).where(users.c.id == user_id).scalar_subquery()
    row = (await connection.execute(statement.returning(sharing.c.version, rider.label("rider")))).one()
    return PolicyChange(user_id, row.rider, row.version)


async def read_policy(connection: AsyncConnection, user_id: UUID) -> tuple[Chosen | None, list[bytes]] | None:
    """What the rider chose and the rider's sealed zones, in one query. None: no such user."""
    query = (
        select(sharing.c.audience, sharing.c.expires_at, sharing.c.version, privacy_zones.c.sealed)
        .select_from(users)
        .outerjoin(sharing, sharing.c.user_id == users.c.id)
        .outerjoin(privacy_zones, privacy_zones.c.user_id == users.c.id)
        .where(users.c.id == user_id)
    )
    rows = (await connection.execute(query)).all()
    if not rows:
        return None
    audience, expires_at, version, _ = rows[0]
    chosen = None if audience is None else Chosen(Audience(audience), expires_at, version)
    return chosen, [row.sealed for row in rows if row.sealed is not None]
