"""The SQL of accounts: users, their sessions, and refresh tokens."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import ColumnElement, cast, delete, func, insert, literal, select, text, update
from sqlalchemy.dialects.postgresql import INET
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.accounts.rules import Role
from domain.db.tables import refresh_tokens, sessions, users


class User(NamedTuple):
    """An account, without its secrets. `rider` is the short number that stands for it in frames."""

    id: UUID
    rider: int
    username: str
    email: str
    full_name: str | None
    role: Role
    created_at: datetime


class Credentials(NamedTuple):
    """What a sign-in is judged by."""

    user: User
    password_hash: str
    login_attempts: int
    locked_until: datetime | None


@dataclass(frozen=True)
class Session:
    """One sign-in on one device. `ip_address` and `user_agent` are those of the sign-in."""

    id: UUID
    user_id: UUID
    device_id: str
    ip_address: str | None
    user_agent: str | None
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None


class KeptToken(NamedTuple):
    """A refresh token as it is kept; `successor` is sealed with the token itself."""

    session_id: UUID
    superseded_at: datetime | None
    successor: bytes | None


_USER = (
    users.c.id,
    users.c.rider,
    users.c.username,
    users.c.email,
    users.c.full_name,
    users.c.role,
    users.c.created_at,
)
_SESSION = (
    sessions.c.id,
    sessions.c.user_id,
    sessions.c.device_id,
    func.host(sessions.c.ip_address).label("ip_address"),
    sessions.c.user_agent,
    sessions.c.created_at,
    sessions.c.last_used_at,
    sessions.c.expires_at,
    sessions.c.revoked_at,
)


class NewUser(NamedTuple):
    """What a new account is made of; the keys are the folded names, by which it is found."""

    id: UUID
    username: str
    username_key: str
    email: str
    email_key: str
    password_hash: str
    full_name: str | None
    created_at: datetime


def _user(row: Any) -> User:
    """The user of a row that begins with `_USER`."""
    user_id, rider, username, email, full_name, role, created_at = row[:7]
    return User(user_id, rider, username, email, full_name, Role(role), created_at)


async def add_user(connection: AsyncConnection, user: NewUser) -> int:
    """Keep a new account; its short number is returned. Raises IntegrityError when a name is taken."""
    statement = insert(users).values(user._asdict()).returning(users.c.rider)
    rider: int = (await connection.execute(statement)).scalar_one()
    return rider


async def find_user(connection: AsyncConnection, user_id: UUID) -> User | None:
    """The account."""
    row = (await connection.execute(select(*_USER).where(users.c.id == user_id))).one_or_none()
    return None if row is None else _user(row)


async def write_profile(
    connection: AsyncConnection, user_id: UUID, *, username: str, username_key: str, full_name: str | None
) -> User | None:
    """Change what a user is called; None when the account is gone. Raises IntegrityError when the name is taken."""
    changed = {"username": username, "username_key": username_key, "full_name": full_name}
    statement = update(users).where(users.c.id == user_id).values(changed).returning(*_USER)
    row = (await connection.execute(statement)).one_or_none()
    return None if row is None else _user(row)


async def lock_credentials(connection: AsyncConnection, key: str, *, is_email: bool) -> Credentials | None:
    """What a sign-in with this folded name is judged by; the row is locked until the transaction ends."""
    column = users.c.email_key if is_email else users.c.username_key
    query = select(*_USER, users.c.password_hash, users.c.login_attempts, users.c.locked_until)
    row = (await connection.execute(query.where(column == key).with_for_update())).one_or_none()
    if row is None:
        return None
    return Credentials(_user(row), row.password_hash, row.login_attempts, row.locked_until)


async def write_attempts(
    connection: AsyncConnection, user_id: UUID, attempts: int, locked_until: datetime | None
) -> None:
    """Keep the count of sign-ins tried; not waiting for the disk, so that it takes no time an attacker could see."""
    await connection.execute(text("SET LOCAL synchronous_commit = off"))
    changed = {"login_attempts": attempts, "locked_until": locked_until}
    await connection.execute(update(users).where(users.c.id == user_id).values(changed))


async def write_login(connection: AsyncConnection, user_id: UUID, now: datetime, new_hash: str | None) -> bool:
    """Note a successful sign-in, with a new password hash where there is one; False when the account is gone."""
    changed: dict[str, object] = {"login_attempts": 0, "locked_until": None, "last_login": now}
    if new_hash is not None:
        changed["password_hash"] = new_hash
    return (await connection.execute(update(users).where(users.c.id == user_id).values(changed))).rowcount == 1


async def add_session(connection: AsyncConnection, session: Session) -> None:
    """Keep a sign-in."""
    row = vars(session) | {"ip_address": cast(literal(session.ip_address), INET)}
    await connection.execute(insert(sessions).values(row))


async def find_session(connection: AsyncConnection, session_id: UUID, *, lock: bool = False) -> Session | None:
    """The sign-in; with `lock` its row is locked until the transaction ends."""
    query = select(*_SESSION).where(sessions.c.id == session_id)
    row = (await connection.execute(query.with_for_update() if lock else query)).one_or_none()
    return None if row is None else Session(*row)


async def live_sessions(connection: AsyncConnection, user_id: UUID, now: datetime) -> list[Session]:
    """The user's sign-ins that still hold, the last used first."""
    query = select(*_SESSION).where(sessions.c.user_id == user_id, sessions.c.revoked_at.is_(None))
    query = query.where(sessions.c.expires_at > now).order_by(sessions.c.last_used_at.desc(), sessions.c.id)
    return [Session(*row) for row in await connection.execute(query)]


async def use_session(connection: AsyncConnection, session_id: UUID, now: datetime, expires_at: datetime) -> None:
    """Note that the session was used and lives on."""
    changed = {"last_used_at": now, "expires_at": expires_at}
    await connection.execute(update(sessions).where(sessions.c.id == session_id).values(changed))


async def revoke_session(
    connection: AsyncConnection, session_id: UUID, now: datetime, user_id: UUID | None = None
) -> bool:
    """End a sign-in (of this user, when given); False when there is none that holds."""
    which: list[ColumnElement[bool]] = [sessions.c.id == session_id, sessions.c.revoked_at.is_(None)]
    if user_id is not None:
        which.append(sessions.c.user_id == user_id)
    return (await connection.execute(update(sessions).where(*which).values(revoked_at=now))).rowcount == 1


async def revoked_since(connection: AsyncConnection, moment: datetime) -> list[tuple[UUID, datetime]]:
    """The sessions revoked at or after this moment, and when."""
    query = select(sessions.c.id, sessions.c.revoked_at).where(sessions.c.revoked_at >= moment)
    return [(row.id, row.revoked_at) for row in await connection.execute(query.order_by(sessions.c.revoked_at))]


async def add_token(connection: AsyncConnection, digest: bytes, session_id: UUID, now: datetime) -> None:
    """Keep a refresh token by its hash."""
    row = {"hash": digest, "session_id": session_id, "issued_at": now}
    await connection.execute(insert(refresh_tokens).values(row))


async def find_token(connection: AsyncConnection, digest: bytes) -> KeptToken | None:
    """The refresh token with this hash."""
    query = select(refresh_tokens.c.session_id, refresh_tokens.c.superseded_at, refresh_tokens.c.successor)
    row = (await connection.execute(query.where(refresh_tokens.c.hash == digest))).one_or_none()
    return None if row is None else KeptToken(*row)


async def supersede_token(connection: AsyncConnection, digest: bytes, now: datetime, successor: bytes) -> None:
    """Note that another token took this one's place."""
    changed = {"superseded_at": now, "successor": successor}
    await connection.execute(update(refresh_tokens).where(refresh_tokens.c.hash == digest).values(changed))


async def forget_tokens(connection: AsyncConnection, session_id: UUID, issued_before: datetime) -> None:
    """Forget the session's superseded tokens that have ended by themselves."""
    old = (refresh_tokens.c.session_id == session_id) & (refresh_tokens.c.issued_at < issued_before)
    await connection.execute(delete(refresh_tokens).where(old, refresh_tokens.c.superseded_at.is_not(None)))
