"""The check in a real PostGIS, and sabotage: it passes on what is right, and fails on what is truly damaged."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from loadtests.replay.database import SABOTAGES, Witness, find_database
from loadtests.replay.ledger import Ledger
from loadtests.replay.sources.tracks import Fix, Track, step_lengths

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_START = 1_714_557_600_123
_MONTHS = (202405, 202406)

_PARTITION = "CREATE TABLE track_points_{0} PARTITION OF track_points FOR VALUES IN ({0})"
_USER = """
INSERT INTO users (id, username, username_key, email, email_key, password_hash, created_at)
VALUES ($1, 'a', 'a', 'a@b.c', 'a@b.c', '', now())
"""
_TRACK = """
INSERT INTO tracks (id, month, user_id, first_heard_at, last_heard_at, finished_at, distance_metres)
VALUES ($1, $2, $3, now(), now(), now(), $4)
"""
_POINT = """
INSERT INTO track_points (track_month, track_id, seq, timestamp, latitude, longitude, altitude, received_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, now())
"""


@pytest.fixture
async def connection(database_url: str) -> "AsyncIterator[asyncpg.Connection[Any]]":
    connection = await asyncpg.connect(database_url)
    try:
        yield connection
    finally:
        await connection.close()


@pytest.fixture
async def ledger(connection: "asyncpg.Connection[Any]") -> Ledger:
    """A track that was ridden, acknowledged and stored as it should be."""
    fixes = tuple(Fix(seq, _START + seq * 999, 46.1 + seq / 7e4, 11 + seq / 3e5, 2000.1) for seq in range(50))
    ledger = Ledger(Track("a.gpx", fixes), uuid4(), "rider 1")
    user = UUID(int=1)
    metres = float(step_lengths([fix.latitude for fix in fixes], [fix.longitude for fix in fixes]).sum())
    for month in _MONTHS:
        await connection.execute(_PARTITION.format(month))
    await connection.execute(_USER, user)
    await connection.execute(_TRACK, ledger.track_id, _MONTHS[0], user, metres)
    for fix in fixes:
        ledger.sent(fix.seq)
        ledger.acknowledged(fix.seq)
        moment = _EPOCH + timedelta(milliseconds=fix.timestamp)
        await connection.execute(
            _POINT, _MONTHS[0], ledger.track_id, fix.seq, moment, fix.latitude, fix.longitude, fix.altitude
        )
    return ledger


async def test_what_is_stored_as_it_was_sent_is_sound(connection: "asyncpg.Connection[Any]", ledger: Ledger) -> None:
    verdict = await Witness(connection).verdict(ledger)
    assert verdict.sound
    assert verdict.stored == 50
    assert verdict.distance_error_pct < 1e-9


@pytest.mark.parametrize("kind", SABOTAGES)
async def test_sabotage_is_found(connection: "asyncpg.Connection[Any]", ledger: Ledger, kind: str) -> None:
    witness = Witness(connection)
    assert kind in await witness.sabotage(kind, ledger)
    verdict = await witness.verdict(ledger)
    assert not verdict.sound
    found = {"lose": verdict.missing, "duplicate": verdict.duplicates, "move": verdict.different}
    assert {name for name, seqs in found.items() if seqs} == {kind}


async def test_a_duplicate_is_found_where_only_one_partition_exists(
    connection: "asyncpg.Connection[Any]", ledger: Ledger
) -> None:
    await connection.execute(f"DROP TABLE track_points_{_MONTHS[1]}")
    witness = Witness(connection)
    await witness.sabotage("duplicate", ledger)
    assert (await witness.verdict(ledger)).duplicates == (50,)


async def test_settling_waits_for_the_finisher_and_says_how_many_are_open(
    connection: "asyncpg.Connection[Any]", ledger: Ledger, database_url: str
) -> None:
    witness = Witness(connection)
    said: list[str] = []
    assert await witness.settle([ledger.track_id], 0.0, said.append) == 0
    assert await witness.settle([ledger.track_id, uuid4()], 0.0, said.append) == 1
    await connection.execute("UPDATE tracks SET recompute = true")
    waiting = asyncio.create_task(witness.settle([ledger.track_id], 30.0, said.append))
    finisher = await asyncpg.connect(database_url)
    await finisher.execute("UPDATE tracks SET recompute = false")
    await finisher.close()
    assert await waiting == 0


def test_a_given_database_comes_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://environment")
    assert find_database("postgresql://given") == "postgresql://given"
    assert find_database(None) == "postgresql://environment"
