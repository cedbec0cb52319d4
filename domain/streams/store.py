"""The SQL of streams. Names are compared and locked in the order of their bytes, on every machine the same."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from domain.streams.rules import Head

_APPEND = text(
    """
    WITH locked AS (
        INSERT INTO streams (id, epoch, head)
        SELECT added.id, (SELECT epoch FROM stream_epoch), added.events
        FROM unnest(CAST(:ids AS text[]), CAST(:counts AS bigint[])) AS added (id, events)
        ORDER BY added.id COLLATE "C"
        ON CONFLICT (id) DO UPDATE SET head = streams.head + excluded.head
        RETURNING id, epoch, head
    ), kept AS (
        INSERT INTO stream_events (stream, seq, name, sent_at, body)
        SELECT locked.id, locked.head - event.behind, event.name, CAST(:sent_at AS timestamptz), event.body
        FROM unnest(
            CAST(:streams AS text[]), CAST(:behind AS bigint[]), CAST(:names AS text[]), CAST(:bodies AS bytea[])
        ) AS event (stream, behind, name, body)
        JOIN locked ON locked.id = event.stream
    )
    SELECT id, epoch, head FROM locked
    """
)
"""One statement, so that a stream is locked for as short as can be: from here to the commit."""

_HEADS = """
SELECT wanted.id, coalesce(streams.epoch, stream_epoch.epoch) AS epoch, coalesce(streams.head, 0) AS head
FROM unnest($1::text[]) AS wanted (id)
CROSS JOIN stream_epoch
LEFT JOIN streams ON streams.id = wanted.id
"""

_DIFFERING = """
SELECT known.id, coalesce(streams.epoch, stream_epoch.epoch) AS epoch, coalesce(streams.head, 0) AS head
FROM unnest($1::text[], $2::bigint[]) AS known (id, seq)
CROSS JOIN stream_epoch
LEFT JOIN streams ON streams.id = known.id
WHERE coalesce(streams.head, 0) <> known.seq OR coalesce(streams.epoch, stream_epoch.epoch) <> $3
"""

_READ = """
SELECT wanted.id, coalesce(streams.epoch, stream_epoch.epoch) AS epoch, coalesce(streams.head, 0) AS head,
       coalesce(streams.pruned_to, 0) AS pruned_to, event.seq, event.name, event.sent_at, event.body
FROM unnest($1::text[], $2::bigint[]) AS wanted (id, after)
CROSS JOIN stream_epoch
LEFT JOIN streams ON streams.id = wanted.id
LEFT JOIN LATERAL (
    SELECT seq, name, sent_at, body, sum(octet_length(body)) OVER (ORDER BY seq) - octet_length(body) AS before
    FROM (
        SELECT seq, name, sent_at, body FROM stream_events
        WHERE stream = wanted.id AND seq > wanted.after ORDER BY seq LIMIT $3
    ) AS next
) AS event ON event.before < $4
ORDER BY wanted.id, event.seq
"""

_RENEW = (
    text("LOCK TABLE streams IN EXCLUSIVE MODE"),
    text("UPDATE stream_epoch SET epoch = :epoch"),
    text("UPDATE streams SET epoch = :epoch"),
)


class NewEvent(NamedTuple):
    """An event that is to be kept: the last but `behind` of those that its stream is given now."""

    stream: str
    behind: int
    name: str
    body: bytes


class KeptEvent(NamedTuple):
    """An event as it is kept, its body sealed."""

    seq: int
    name: str
    sent_at: datetime
    body: bytes


class Kept(NamedTuple):
    """What of a stream's history was read."""

    head: Head
    pruned_to: int
    events: list[KeptEvent]


async def append(connection: AsyncConnection, events: Sequence[NewEvent], sent_at: datetime) -> dict[str, Head]:
    """Keep the events; where their streams stand now. The streams stay locked until the transaction ends."""
    counts: dict[str, int] = {}
    for event in events:
        counts[event.stream] = counts.get(event.stream, 0) + 1
    parameters = {
        "ids": list(counts),
        "counts": list(counts.values()),
        "sent_at": sent_at,
        "streams": [event.stream for event in events],
        "behind": [event.behind for event in events],
        "names": [event.name for event in events],
        "bodies": [event.body for event in events],
    }
    return {row.id: Head(row.epoch, row.head) for row in await connection.execute(_APPEND, parameters)}


async def heads(driver: Any, streams: Iterable[str]) -> dict[str, Head]:
    """Where these streams stand; one that never had an event has the epoch that it would begin with."""
    return {name: Head(epoch, head) for name, epoch, head in await driver.fetch(_HEADS, list(streams))}


async def differing(driver: Any, epoch: str, known: Mapping[str, int]) -> dict[str, Head]:
    """Of streams thought to be at these numbers of this epoch: where those stand that are not."""
    rows = await driver.fetch(_DIFFERING, list(known), list(known.values()), epoch)
    return {name: Head(epoch_now, head) for name, epoch_now, head in rows}


async def read(driver: Any, after: Mapping[str, int], most_events: int, most_bytes: int) -> dict[str, Kept]:
    """What follows these numbers in these streams, as one moment has it: for each so many events and bytes at most.

    At least one event, if there is one, however large it is.
    """
    found: dict[str, Kept] = {}
    rows = await driver.fetch(_READ, list(after), list(after.values()), most_events, most_bytes)
    for stream, epoch, head, pruned_to, seq, name, sent_at, body in rows:
        kept = found.get(stream)
        if kept is None:
            kept = found[stream] = Kept(Head(epoch, head), pruned_to, [])
        if seq is not None:
            kept.events.append(KeptEvent(seq, name, sent_at, body))
    return found


async def renew_epochs(connection: AsyncConnection, epoch: str) -> int:
    """Give every stream, and those to come, this epoch; how many streams there are. Nothing is appended meanwhile."""
    lock, default, all_streams = _RENEW
    await connection.execute(lock)
    await connection.execute(default, {"epoch": epoch})
    return (await connection.execute(all_streams, {"epoch": epoch})).rowcount


async def current_epoch(connection: AsyncConnection) -> str:
    """The epoch that new streams get."""
    return str((await connection.execute(text("SELECT epoch FROM stream_epoch"))).scalar_one())
