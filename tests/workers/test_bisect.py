"""Poison: what cannot be stored is found down to the fix, says why, and takes nothing else with it."""

from uuid import uuid4

import msgspec
import pytest

from domain.tracks.entries import Fixes, Started, decode_records, encode_records
from domain.tracks.lag import stream_lag
from tests.support import eventually
from tests.workers.recording import MONTH, NOW_MS, Recording, Ride, row


async def forbid(recording: Recording, condition: str) -> None:
    """Make Postgres refuse the points of which this is not true, as a constraint of a later version might."""
    await recording.sql.execute(f"ALTER TABLE track_points ADD CONSTRAINT poison CHECK ({condition})")


async def test_fixes_that_postgres_refuses_are_found_among_good_ones(recording: Recording) -> None:
    rides = [await recording.ride() for _ in range(10)]
    await forbid(recording, "battery <> 0.75")
    for ride in rides:
        await recording.append(ride.start(), ride.fixes(range(40)))
    poisoned = await recording.append(
        rides[3].rows([row(seq, battery=0.75 if seq in (41, 57) else 0.5) for seq in range(40, 60)]),
        rides[4].fixes(range(40, 60)),
        rides[3].stop(59),
    )
    await recording.drain()
    for number, ride in enumerate(rides):
        expected = [seq for seq in range(60 if number in (3, 4) else 40) if number != 3 or seq not in (41, 57)]
        assert await recording.seqs(ride) == expected
    letters = await recording.dead_letters()
    assert [(each["entry"], each["reason"], each["detail"]) for each in letters] == [
        (poisoned, b"refused_by_database", b"23514")
    ] * 2
    records = [record for each in letters for record in decode_records(each["record"])]
    assert [record.rows[0][0] for record in records if isinstance(record, Fixes)] == [41, 57]
    assert await recording.gaps(rides[3]) == [(41, 41, "dead_letter"), (57, 57, "dead_letter")]
    assert (await recording.track(rides[3]))["recompute"]  # nothing is waited for any more


async def test_refused_duplicates_and_late_fixes_are_found_too(recording: Recording) -> None:
    ride = await recording.ride()
    await recording.append(ride.fixes(range(100, 110)))
    await recording.drain()
    await forbid(recording, "battery <> 0.75")
    await recording.append(ride.fixes([101, 50]), ride.fixes([51], battery=0.75), ride.fixes([52]))
    await recording.drain()
    assert await recording.seqs(ride) == [50, 52, *range(100, 110)]
    assert len(await recording.dead_letters()) == 1


@pytest.mark.parametrize(
    "data", [b"", b"\xc1", b"\x00" * 100, b"\x91\x92\xa5fixes", encode_records([])[:0] + b"\x90\x90"]
)
async def test_bytes_that_are_no_records_are_one_dead_letter(recording: Recording, data: bytes) -> None:
    ride = await recording.ride()
    await recording.append(ride.fixes([0]))
    entry = await recording.append_raw(data)
    await recording.append(ride.fixes([1]))
    await recording.drain()
    assert await recording.seqs(ride) == [0, 1]
    (letter,) = await recording.dead_letters()
    assert (letter["entry"], letter["reason"], letter["record"]) == (entry, b"undecodable", data)


async def test_records_with_impossible_heads_are_dead_letters(recording: Recording) -> None:
    ride = await recording.ride()
    good = ride.fixes([0])
    await recording.append(
        msgspec.structs.replace(good, month=0),
        msgspec.structs.replace(good, month=202613),
        msgspec.structs.replace(good, received_ms=2**60),
        msgspec.structs.replace(ride.stop(5), last_seq=2**31),
        msgspec.structs.replace(ride.start(), started_at_ms=-1),
        good,
    )
    await recording.drain()
    assert [each["detail"] for each in await recording.dead_letters()] == [
        b"month", b"month", b"received_ms", b"last_seq", b"started_at_ms",
    ]  # fmt: skip
    assert await recording.seqs(ride) == [0]


async def test_a_rider_who_does_not_exist_costs_one_letter_a_record(recording: Recording) -> None:
    nobody, ride = Ride(uuid4()), await recording.ride()
    await recording.append(nobody.start(), ride.fixes(range(10)), nobody.fixes(range(500)), nobody.stop(499))
    await recording.drain()
    assert [(each["reason"], each["detail"]) for each in await recording.dead_letters()] == [
        (b"refused_by_database", b"23503")
    ] * 3
    assert await recording.seqs(ride) == list(range(10))
    assert await recording.track(nobody) is None


async def test_a_reason_that_is_no_text_for_postgres(recording: Recording) -> None:
    ride = await recording.ride()
    rejected = ride.rejected(1, 2, 3)
    rejected.reasons[1] = (2, "nul\0")
    await recording.append(ride.fixes([0]), rejected, ride.stop(3))
    await recording.drain()
    assert await recording.gaps(ride) == [(1, 1, "invalid"), (2, 2, "dead_letter"), (3, 3, "invalid")]
    assert (await recording.track(ride))["recompute"]


SPOILT = {
    "UndefinedTableError": ("ALTER TABLE track_points RENAME TO gone", "ALTER TABLE gone RENAME TO track_points"),
    "UndefinedColumnError": ("ALTER TABLE tracks RENAME stored TO gone", "ALTER TABLE tracks RENAME gone TO stored"),
    "ReadOnlySQLTransactionError": (
        "ALTER DATABASE {name} SET default_transaction_read_only = on",
        "ALTER DATABASE {name} RESET default_transaction_read_only",
    ),
}
"""How to make a database useless, and how to mend it, by the error that it then gives."""


@pytest.mark.parametrize("error", SPOILT)
async def test_what_is_wrong_with_the_database_condemns_no_fix(recording: Recording, error: str) -> None:
    spoil, mend = SPOILT[error]
    name = await recording.sql.fetchval("SELECT current_database()")
    ride = await recording.ride()
    await recording.sql.execute(spoil.format(name=name))
    await recording.append(ride.fixes(range(3)), ride.stop(2))
    async with recording.writing():
        await eventually(lambda: failures(recording, error))
        assert (await stream_lag(recording.redis)).entries == 1
        await recording.sql.execute(mend.format(name=name))
        await recording.until_drained()
    assert await recording.seqs(ride) == [0, 1, 2]
    assert await recording.dead_letters() == []


def failures(recording: Recording, error: str) -> float:
    return recording.registry.get_sample_value("throttlecove_track_store_failures_total", {"error": error}) or 0.0


async def test_foreign_records_are_dead_letters_of_their_entry(recording: Recording) -> None:
    ride = await recording.ride()
    thief = Ride(await recording.rider(), ride.track_id)
    await recording.append(ride.fixes([0]))
    entry = await recording.append(thief.fixes([1, 2]))
    await recording.drain()
    (letter,) = await recording.dead_letters()
    assert (letter["entry"], letter["reason"]) == (entry, b"track_owned_by_another")
    assert decode_records(letter["record"]) == [thief.fixes([1, 2])]


async def test_started_records_decode_as_they_were(recording: Recording) -> None:
    started = Started(uuid4(), uuid4(), MONTH, NOW_MS, NOW_MS)
    await recording.append(started)
    await recording.drain()
    (letter,) = await recording.dead_letters()
    assert decode_records(letter["record"]) == [started]
