"""The use cases of accounts: register, sign in, refresh, sign out, and the list of sign-ins.

Promises that signing in tells nobody whether an account exists, neither by the answer nor by its time, and that a
refresh token held by two parties ends the session. Limits on how often somebody may try are left to the edge.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.accounts import store
from domain.accounts.passwords import Passwords
from domain.accounts.ports import RevocationPort
from domain.accounts.refresh import Refreshing
from domain.accounts.rules import (
    LONGEST_DEVICE_ID,
    LONGEST_EMAIL,
    LONGEST_FULL_NAME,
    LONGEST_REFRESH_TOKEN,
    LONGEST_USER_AGENT,
    Lockout,
    Role,
    check_email,
    check_password,
    check_password_text,
    check_username,
    count_attempt,
    is_locked,
)
from domain.accounts.store import Session, User
from domain.accounts.tokens import TokenIssuer
from domain.db.engine import unavailable_when_down
from domain.kit.clock import Clock
from domain.kit.errors import Conflict, NotFound, Unauthenticated, Unavailable
from domain.kit.ids import uuid7
from domain.kit.text import clean, folded

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class AccountOptions:
    """Lifetimes and limits of sign-ins."""

    refresh_token_lifetime: timedelta = timedelta(days=7)
    refresh_grace: timedelta = timedelta(seconds=60)
    """How long the previous refresh token is honoured on the same device."""
    lockout: Lockout = field(default_factory=Lockout)


@dataclass(frozen=True)
class Device:
    """From where somebody signs in. Without a `device_id` one is made; the app keeps it."""

    device_id: str | None = None
    ip_address: str | None = None
    user_agent: str | None = None


@dataclass(frozen=True)
class SignedIn:
    """A session with its tokens, as they are given to the app; `expires_in` is the access token's life in seconds."""

    user: User
    session_id: UUID
    device_id: str
    access_token: str
    refresh_token: str
    expires_in: int


class AccountService:
    """Accounts and sign-ins. Every method raises Unavailable when Postgres is away."""

    def __init__(
        self,
        engine: AsyncEngine,
        clock: Clock,
        *,
        issuer: TokenIssuer,
        passwords: Passwords,
        revocations: RevocationPort,
        options: AccountOptions | None = None,
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._issuer = issuer
        self._passwords = passwords
        self._revocations = revocations
        self._options = options or AccountOptions()
        self._refreshing = Refreshing(self._options.refresh_token_lifetime, self._options.refresh_grace)

    async def register(
        self, *, username: str, email: str, password: str, device: Device, full_name: str | None = None
    ) -> SignedIn:
        """A new account, signed in. Raises Invalid, and Conflict naming the field when a name is taken."""
        username, email = check_username(username), check_email(email)
        check_password(password, username, email)
        if full_name is not None:
            full_name = clean(full_name, "full_name", longest=LONGEST_FULL_NAME)
        device = _checked(device)
        hashed = await self._passwords.hash(password)
        now = self._clock.now()
        new = store.NewUser(
            uuid7(self._clock.epoch_ms()), username, folded(username), email, folded(email), hashed, full_name, now
        )
        try:
            async with unavailable_when_down(), self._engine.begin() as connection:
                rider = await store.add_user(connection, new)
                user = User(new.id, rider, username, email, full_name, Role.USER, now)
                session, refresh_token = await self._refreshing.begin(connection, self._session(user, device, now))
        except IntegrityError as error:
            raise _taken(error) from error
        return self._signed_in(user, session, refresh_token)

    async def login(self, *, identifier: str, password: str, device: Device) -> SignedIn:
        """Sign in with a username or an e-mail address.

        Raises Unauthenticated, with one answer and in the same time, for an unknown name, a wrong password, and an
        account that rests after too many tries.
        """
        key = folded(clean(identifier, "identifier", longest=LONGEST_EMAIL))
        check_password_text(password)
        device = _checked(device)
        found = await self._count_attempt(key, is_email="@" in key)
        if not await self._passwords.matches(None if found is None else found.password_hash, password) or found is None:
            raise _refused()
        outdated = self._passwords.is_outdated(found.password_hash)
        new_hash = await self._passwords.hash(password) if outdated else None
        now = self._clock.now()
        async with unavailable_when_down(), self._engine.begin() as connection:
            if not await store.write_login(connection, found.user.id, now, new_hash):
                raise _refused()
            session, refresh_token = await self._refreshing.begin(connection, self._session(found.user, device, now))
        return self._signed_in(found.user, session, refresh_token)

    async def refresh(self, *, refresh_token: str, device_id: str) -> SignedIn:
        """New tokens for the session of this refresh token, which is used up.

        Raises Unauthenticated when it is unknown, ended, or was used before: then the whole session is revoked, unless
        it is the previous one, presented again in time by the same device.
        """
        refresh_token = clean(refresh_token, "refresh_token", longest=LONGEST_REFRESH_TOKEN)
        device_id = clean(device_id, "device_id", longest=LONGEST_DEVICE_ID)
        now = self._clock.now()
        async with unavailable_when_down(), self._engine.begin() as connection:
            outcome = await self._refreshing.rotate(connection, refresh_token, device_id, now)
            user = await store.find_user(connection, outcome.session.user_id) if outcome else None
        if outcome is None or user is None:
            raise Unauthenticated("the refresh token is unknown or has ended; sign in again", field="refresh_token")
        if outcome.refresh_token is None:
            _log.warning("refresh_token_reused", session_id=str(outcome.session.id), user_id=str(user.id))
            await self._tell(outcome.session.id, now)
            raise Unauthenticated("the refresh token was used before; sign in again", field="refresh_token")
        return self._signed_in(user, outcome.session, outcome.refresh_token)

    async def logout(self, session_id: UUID) -> None:
        """End this session; ending it twice is no fault."""
        now = self._clock.now()
        async with unavailable_when_down(), self._engine.begin() as connection:
            await store.revoke_session(connection, session_id, now)
        await self._tell(session_id, now)

    async def revoke_session(self, user_id: UUID, session_id: UUID) -> None:
        """End another session of this user. Raises NotFound when none of this id holds."""
        now = self._clock.now()
        async with unavailable_when_down(), self._engine.begin() as connection:
            if not await store.revoke_session(connection, session_id, now, user_id):
                raise NotFound("there is no such session")
        await self._tell(session_id, now)

    async def sessions(self, user_id: UUID) -> list[Session]:
        """The user's sign-ins that still hold, the last used first."""
        async with unavailable_when_down(), self._engine.connect() as connection:
            return await store.live_sessions(connection, user_id, self._clock.now())

    async def user(self, user_id: UUID) -> User:
        """The account. Raises NotFound."""
        async with unavailable_when_down(), self._engine.connect() as connection:
            user = await store.find_user(connection, user_id)
        if user is None:
            raise NotFound("this account does not exist any more")
        return user

    async def rename(self, user_id: UUID, *, username: str, full_name: str | None) -> User:
        """Change what the user is called; the last change holds. Access tokens carry the new name once refreshed.

        Raises Invalid, Conflict when the username is taken, and NotFound when the account is gone.
        """
        username = check_username(username)
        if full_name is not None:
            full_name = clean(full_name, "full_name", longest=LONGEST_FULL_NAME)
        try:
            async with unavailable_when_down(), self._engine.begin() as connection:
                user = await store.write_profile(
                    connection, user_id, username=username, username_key=folded(username), full_name=full_name
                )
        except IntegrityError as error:
            raise _taken(error) from error
        if user is None:
            raise NotFound("this account does not exist any more")
        return user

    async def revoked_since(self, moment: datetime) -> list[tuple[UUID, int]]:
        """The sessions revoked at or after this moment, each with the time (epoch ms) when its last token ends.

        Nodes that cannot hear hints ask this; they ask from a little before the last time, because clocks differ.
        """
        async with unavailable_when_down(), self._engine.connect() as connection:
            rows = await store.revoked_since(connection, moment)
        return [(session_id, self._last_token_ends(revoked_at)) for session_id, revoked_at in rows]

    async def session_is_revoked(self, session_id: UUID) -> bool:
        """Whether the session was revoked, or is gone together with its account."""
        async with unavailable_when_down(), self._engine.connect() as connection:
            session = await store.find_session(connection, session_id)
        return session is None or session.revoked_at is not None

    async def _count_attempt(self, key: str, *, is_email: bool) -> store.Credentials | None:
        """What to judge the sign-in by, None when there is no such account or it rests; the same statements for all."""
        now = self._clock.now()
        attempts, locked_until = 0, None
        async with unavailable_when_down(), self._engine.begin() as connection:
            found = await store.lock_credentials(connection, key, is_email=is_email)
            if found is not None and is_locked(found.locked_until, now):
                found = None
            if found is not None:
                attempts, locked_until = count_attempt(
                    self._options.lockout, found.login_attempts, found.locked_until, now
                )
            await store.write_attempts(connection, found.user.id if found else uuid4(), attempts, locked_until)
        if found is not None and locked_until is not None:
            _log.warning("account_locked", user_id=str(found.user.id), until=locked_until.isoformat())
        return found

    def _session(self, user: User, device: Device, now: datetime) -> Session:
        return Session(
            id=uuid7(self._clock.epoch_ms()),
            user_id=user.id,
            device_id=device.device_id or str(uuid4()),
            ip_address=device.ip_address,
            user_agent=device.user_agent,
            created_at=now,
            last_used_at=now,
            expires_at=now + self._options.refresh_token_lifetime,
        )

    def _signed_in(self, user: User, session: Session, refresh_token: str) -> SignedIn:
        access_token = self._issuer.issue(
            user_id=user.id,
            rider=user.rider,
            username=user.username,
            role=user.role,
            session_id=session.id,
            device_id=session.device_id,
        )
        lifetime = self._issuer.lifetime_seconds
        return SignedIn(user, session.id, session.device_id, access_token, refresh_token, lifetime)

    def _last_token_ends(self, revoked_at: datetime) -> int:
        return round(revoked_at.timestamp() * 1000) + self._issuer.lifetime_seconds * 1000

    async def _tell(self, session_id: UUID, revoked_at: datetime) -> None:
        try:
            await self._revocations.session_revoked(session_id, self._last_token_ends(revoked_at))
        except Unavailable:
            _log.warning("revocation_hint_lost", session_id=str(session_id))


def _checked(device: Device) -> Device:
    device_id = device.device_id
    if device_id is not None:
        device_id = clean(device_id, "device_id", longest=LONGEST_DEVICE_ID)
    agent = device.user_agent
    return Device(device_id, device.ip_address, agent and agent.replace("\0", "")[:LONGEST_USER_AGENT])


def _refused() -> Unauthenticated:
    return Unauthenticated("the name or the password is wrong, or the account rests after too many attempts")


def _taken(error: IntegrityError) -> Conflict:
    field = "email" if "users_email_key" in str(error.orig) else "username"
    return Conflict(f"this {field} is taken", field=field)
