"""Accounts as tests need them: real services on a real database, a clock to turn, and ports that write down."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from argon2 import PasswordHasher
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.accounts.passwords import Passwords
from domain.accounts.service import AccountOptions, AccountService, Device, SignedIn
from domain.accounts.tokens import TokenIssuer, TokenKeys, TokenVerifier
from domain.db.engine import create_engine
from domain.kit.clock import ManualClock
from domain.kit.sealed import Sealer
from domain.sharing.rules import PolicyChange
from domain.sharing.service import SharingService
from domain.streams.rules import Appended
from domain.streams.service import Streams
from domain.zones.service import ZoneService

SECRET = "a secret of tests that is long enough"
PASSWORD = "correct horse battery"
PHONE = Device("phone-1", "192.0.2.7", "ThrottleCove/1.0")


class QuickHasher(PasswordHasher):
    """Real argon2id with the least costs, which counts how often it checks a password."""

    def __init__(self) -> None:
        super().__init__(time_cost=1, memory_cost=8, parallelism=1)
        self.checked: list[str] = []

    def verify(self, hash: str | bytes, password: str | bytes) -> Literal[True]:  # noqa: A002 - the library's name
        self.checked.append(str(hash))
        return super().verify(hash, password)


@dataclass
class Told:
    """The ports, writing down what they are told."""

    revoked: list[tuple[UUID, int]] = field(default_factory=list)
    changed: list[PolicyChange] = field(default_factory=list)
    appended: list[Appended] = field(default_factory=list)

    async def session_revoked(self, session_id: UUID, expires_at_ms: int) -> None:
        self.revoked.append((session_id, expires_at_ms))

    async def policy_changed(self, change: PolicyChange) -> None:
        self.changed.append(change)

    async def said(self, appended: Sequence[Appended]) -> None:
        self.appended.extend(appended)


@dataclass
class World:
    """The services of accounts, zones and sharing on one database."""

    engine: AsyncEngine
    clock: ManualClock
    told: Told
    sealer: Sealer
    verifier: TokenVerifier
    accounts: AccountService
    zones: ZoneService
    sharing: SharingService
    streams: Streams

    async def rider(self, name: str = "ada", device: Device = PHONE) -> SignedIn:
        """A new account, signed in."""
        return await self.accounts.register(
            username=name, email=f"{name}@example.org", password=PASSWORD, device=device
        )


@asynccontextmanager
async def world(
    database_url: str,
    options: AccountOptions | None = None,
    hasher: PasswordHasher | None = None,
    *,
    answer_seconds: float = 30,
) -> AsyncIterator[World]:
    """Services on this database, closed at the end. Where it is not made to fail, a slow one is waited for."""
    engine = create_engine(database_url, connect_timeout_seconds=answer_seconds, command_timeout_seconds=answer_seconds)
    clock, told = ManualClock(), Told()
    keys = TokenKeys("test", {"test": SECRET})
    sealer = Sealer({"test": SECRET}, "test")
    streams = Streams(engine, clock, sealer, told)
    accounts = AccountService(
        engine,
        clock,
        issuer=TokenIssuer(keys, clock, lifetime_seconds=900),
        passwords=Passwords(hasher or QuickHasher()),
        revocations=told,
        options=options,
    )
    try:
        yield World(
            engine,
            clock,
            told,
            sealer,
            TokenVerifier(keys, clock),
            accounts,
            ZoneService(engine, clock, sealer, told, displacement_secret=SECRET),
            SharingService(engine, clock, sealer, told, streams),
            streams,
        )
    finally:
        await engine.dispose()
