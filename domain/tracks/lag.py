"""How far the database is behind the track stream: for `/ready`, for metrics, and for a worker's heartbeat."""

from dataclasses import dataclass
from pathlib import Path

from redis.asyncio import Redis

from domain.tracks.entries import TRACK_STREAM, WRITERS_GROUP

_SCRIPT = (Path(__file__).parent / "lua" / "lag.lua").read_text()


@dataclass(frozen=True)
class StreamLag:
    """Entries that are not known to be in Postgres, and for how many seconds the oldest of them has waited."""

    entries: int
    """All that wait; of these `in_hand` were handed to a worker."""
    in_hand: int
    oldest_seconds: float
    """By the clock of Redis, which also stamps the entries; 0 when nothing waits."""


async def stream_lag(redis: Redis) -> StreamLag:
    """The lag of the track stream at this moment; all zero when there is no stream yet.

    Raises redis.RedisError or OSError when Redis does not answer. The client may decode responses or not.
    """
    entries, in_hand, oldest, now_ms = await redis.eval(_SCRIPT, 1, TRACK_STREAM, WRITERS_GROUP)
    return StreamLag(int(entries), int(in_hand), _age_seconds(oldest, int(now_ms)))


def _age_seconds(entry_id: bytes | str, now_ms: int) -> float:
    text = entry_id.decode() if isinstance(entry_id, bytes) else entry_id
    if not text:
        return 0.0
    return max(0, now_ms - int(text.partition("-")[0])) / 1000
