"""The SQL that ends the history of streams at an age: for whoever has an asyncpg connection in a transaction."""

from typing import Final

PRUNE: Final = """
    WITH old AS (
        SELECT stream, max(seq) AS seq
        FROM (SELECT stream, seq FROM stream_events WHERE sent_at < $1 ORDER BY sent_at LIMIT $2) AS oldest
        GROUP BY stream
    ), locked AS (
        SELECT id FROM streams WHERE id IN (SELECT stream FROM old) ORDER BY id COLLATE "C" FOR NO KEY UPDATE
    ), marked AS (
        UPDATE streams SET pruned_to = greatest(pruned_to, old.seq)
        FROM old JOIN locked ON locked.id = old.stream
        WHERE streams.id = old.stream
        RETURNING streams.id, streams.pruned_to
    ), pruned AS (
        DELETE FROM stream_events USING marked
        WHERE stream_events.stream = marked.id AND stream_events.seq <= marked.pruned_to
        RETURNING 1
    )
    SELECT count(*) FROM pruned
"""
"""Deletes the oldest events that were sent before $1, about $2 of them, and all before them in their streams."""
