"""Riders for a benchmark: thousands of accounts in three COPYs, and their tokens signed with the node's own key."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeAlias
from uuid import UUID, uuid4

import asyncpg

from domain.accounts.rules import Role
from domain.accounts.tokens import TokenIssuer, TokenKeys
from domain.kit.clock import SystemClock
from server import settings

DEVICE = "bench"
_TOKEN_SECONDS = 4 * 3600
"""Longer than any run, so that no token is renewed while something is measured."""


Sessions: TypeAlias = dict[UUID, dict[str, UUID]]
"""By rider and device."""


@dataclass(frozen=True)
class Rider:
    """A rider who may connect: `auth` is the JSON of the CONNECT."""

    user_id: UUID
    rider: int
    auth: str


def make_riders(database_url: str, count: int, devices: int = 1) -> list[Rider]:
    """New riders, signed in on so many devices each, seen by everybody while they ride; a rider's devices in a row."""
    return asyncio.run(_make(database_url, count, devices))


def strangers(count: int) -> list[Rider]:
    """Riders who are in no database, for servers that have none."""
    issuer = _issuer()
    return [_signed(issuer, uuid4(), number, uuid4(), DEVICE) for number in range(1, count + 1)]


def node_keys() -> TokenKeys:
    """The keys a node has with these settings."""
    node = settings.read()
    secrets = {name: secret.get_secret_value() for name, secret in node.token_keys.items()}
    return TokenKeys(node.token_active_key, secrets, node.token_algorithm)


async def _make(database_url: str, count: int, devices: int) -> list[Rider]:
    names = [f"{DEVICE}-{number}" for number in range(devices)]
    sessions = {uuid4(): {name: uuid4() for name in names} for _ in range(count)}
    connection = await asyncpg.connect(database_url)
    try:
        # Long ago: nodes look every second at what has changed lately, which thousands of riders at once never do.
        now = datetime.now(UTC) - timedelta(days=1)
        await _copy(connection, "users", _users(sessions, now))
        await _copy(connection, "sessions", _sessions(sessions, now))
        await _copy(connection, "sharing", _sharing(sessions, now))
        rows = await connection.fetch("SELECT id, rider FROM users WHERE id = ANY($1) ORDER BY rider", list(sessions))
    finally:
        await connection.close()
    issuer = _issuer()
    return [
        _signed(issuer, row["id"], row["rider"], session_id, device)
        for row in rows
        for device, session_id in sessions[row["id"]].items()
    ]


async def _copy(connection: asyncpg.Connection, table: str, records: Iterator[dict[str, object]]) -> None:
    made = list(records)
    await connection.copy_records_to_table(table, records=[tuple(one.values()) for one in made], columns=list(made[0]))


def _users(sessions: Sessions, now: datetime) -> Iterator[dict[str, object]]:
    for user_id in sessions:
        name = f"bench-{user_id.hex}"
        yield {
            "id": user_id, "username": name, "username_key": name, "email": name, "email_key": name,
            "password_hash": "", "created_at": now,
        }  # fmt: skip


def _sessions(sessions: Sessions, now: datetime) -> Iterator[dict[str, object]]:
    for user_id, devices in sessions.items():
        for device, session_id in devices.items():
            yield {
                "id": session_id, "user_id": user_id, "device_id": device, "created_at": now, "last_used_at": now,
                "expires_at": now + timedelta(days=7),
            }  # fmt: skip


def _sharing(sessions: Sessions, now: datetime) -> Iterator[dict[str, object]]:
    for user_id in sessions:
        yield {"user_id": user_id, "audience": "public", "version": 1, "updated_at": now}


def _issuer() -> TokenIssuer:
    return TokenIssuer(node_keys(), SystemClock(), _TOKEN_SECONDS)


def _signed(issuer: TokenIssuer, user_id: UUID, rider: int, session_id: UUID, device: str) -> Rider:
    token = issuer.issue(
        user_id=user_id, rider=rider, username=f"bench-{rider}", role=Role.USER, session_id=session_id, device_id=device
    )
    return Rider(user_id, rider, json.dumps({"token": token, "device_id": device}, separators=(",", ":")))
