"""Refresh tokens: random, kept as hashes, each used once; the answer to a lost answer is the same token again.

Promises that a session has one chain of tokens, however many requests come at once, because its row is locked while one
of them is judged. Committing is left to the caller.
"""

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection

from domain.accounts import store
from domain.accounts.rules import Presented, Rotation, rotation
from domain.accounts.store import KeptToken, Session
from domain.kit.sealed import Sealer


@dataclass(frozen=True)
class Outcome:
    """The session of a presented token and the token that comes next; None: it was used twice, the session is over."""

    session: Session
    refresh_token: str | None


class Refreshing:
    """Issues and rotates refresh tokens that live for `lifetime` and are honoured again within `grace`."""

    def __init__(self, lifetime: timedelta, grace: timedelta) -> None:
        self._lifetime = lifetime
        self._grace = grace

    async def begin(self, connection: AsyncConnection, session: Session) -> tuple[Session, str]:
        """Keep a new session; it and its first refresh token are returned."""
        token = _new_token()
        await store.add_session(connection, session)
        await store.add_token(connection, _digest(token), session.id, session.created_at)
        return session, token

    async def rotate(self, connection: AsyncConnection, token: str, device_id: str, now: datetime) -> Outcome | None:
        """Judge a presented token and act on it; None when it is unknown or its session has ended."""
        known = await store.find_token(connection, _digest(token))
        if known is None:
            return None
        session = await store.find_session(connection, known.session_id, lock=True)
        kept = await store.find_token(connection, _digest(token))  # again: it may have been used before the lock
        if session is None or kept is None:
            return None
        successor = _open_successor(token, kept)
        following = await store.find_token(connection, _digest(successor)) if successor else None
        presented = Presented(
            superseded_at=kept.superseded_at,
            successor_used=following is None or following.superseded_at is not None,
            same_device=secrets.compare_digest(device_id.encode(), session.device_id.encode()),
            session_expires_at=session.expires_at,
            session_revoked=session.revoked_at is not None,
        )
        match rotation(presented, now, self._grace):
            case Rotation.ENDED:
                return None
            case Rotation.REUSE:
                await store.revoke_session(connection, session.id, now)
                return Outcome(session, None)
            case Rotation.REPEAT:
                return Outcome(session, successor)
            case Rotation.ISSUE:
                return Outcome(session, await self._issue(connection, token, session.id, now))

    async def _issue(self, connection: AsyncConnection, token: str, session_id: UUID, now: datetime) -> str:
        successor = _new_token()
        await store.supersede_token(connection, _digest(token), now, _seal_successor(token, session_id, successor))
        await store.add_token(connection, _digest(successor), session_id, now)
        await store.use_session(connection, session_id, now, now + self._lifetime)
        await store.forget_tokens(connection, session_id, now - self._lifetime)
        return successor


def _new_token() -> str:
    return secrets.token_urlsafe(32)


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _sealer(token: str) -> Sealer:
    # Not the token alone: the hash of that is in the table beside the sealed value.
    return Sealer({"token": f"successor of {token}"}, "token")


def _seal_successor(token: str, session_id: UUID, successor: str) -> bytes:
    return _sealer(token).seal(successor.encode(), str(session_id))


def _open_successor(token: str, kept: KeptToken) -> str | None:
    if kept.successor is None:
        return None
    return _sealer(token).open(kept.successor, str(kept.session_id)).decode()
