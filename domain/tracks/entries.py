"""What travels in the track stream, between the node that accepted it and the worker that stores it.

One stream entry holds a MessagePack array of records, each a tagged array (small and quick to decode). Records of one
track stay in the order in which they were accepted. Every record names its rider and the month of its track, so that a
worker can store it even when the record that started the track went another way.
"""

from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

import msgspec

TRACK_STREAM = "tracks:stream"
"""The Redis stream of everything recorded."""
DEAD_LETTERS = f"{{{TRACK_STREAM}}}:dead"
"""The Redis stream of records that could not be stored, with the reason; in the slot of the stream."""
WRITERS_GROUP = "writers"
"""The consumer group of the track writers."""
ENTRY_FIELD = "records"
"""The field of a stream entry that holds the encoded records."""
CLAIM_PREFIX = "track:"
"""Begins the Redis key of the claim on a track id; the id follows."""

FixRow: TypeAlias = tuple[
    int, int, float, float, float | None, float | None, float | None, float | None, float | None, float | None, int
]
"""seq, timestamp (ms), latitude, longitude, altitude, accuracy, speed, heading, lean, battery, provisional flags."""


class Started(msgspec.Struct, frozen=True, array_like=True, tag="start"):
    """A phone began a track. `month` is year * 100 + month of when the server first heard of it; times in epoch ms."""

    track_id: UUID
    user_id: UUID
    month: int
    received_ms: int
    started_at_ms: int
    motorcycle_id: UUID | None = None
    ride_id: UUID | None = None


class Fixes(msgspec.Struct, frozen=True, array_like=True, tag="fixes"):
    """Accepted fixes of one track."""

    track_id: UUID
    user_id: UUID
    month: int
    received_ms: int
    rows: list[FixRow]


class Rejected(msgspec.Struct, frozen=True, array_like=True, tag="rejected"):
    """Sequence numbers that were refused for good, with the code of each: they are not waited for."""

    track_id: UUID
    user_id: UUID
    month: int
    received_ms: int
    reasons: list[tuple[int, str]]


class Stopped(msgspec.Struct, frozen=True, array_like=True, tag="stop"):
    """The phone ended the track: it is finished when every seq up to `last_seq` is stored, rejected or lost.

    `lost` are closed ranges of sequence numbers that the phone does not have any more. `last_seq` is -1 for a track
    without a fix.
    """

    track_id: UUID
    user_id: UUID
    month: int
    received_ms: int
    last_seq: int
    lost: list[tuple[int, int]] = []


Record: TypeAlias = Started | Fixes | Rejected | Stopped

encode_records = msgspec.msgpack.Encoder().encode
_decoder = msgspec.msgpack.Decoder(list[Record])


def decode_records(data: bytes) -> list[Record]:
    """The records of one stream entry. Raises msgspec.DecodeError when it is not one."""
    return _decoder.decode(data)


def month_of(epoch_ms: int) -> int:
    """Year * 100 + month (UTC) of a time in epoch milliseconds: the partition of a track first heard of then."""
    moment = datetime.fromtimestamp(epoch_ms / 1000, UTC)
    return moment.year * 100 + moment.month
