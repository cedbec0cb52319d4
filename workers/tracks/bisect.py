"""Finds what Postgres refuses, down to the fix, and stores all the rest.

A batch that is refused is halved, in order, until each part is stored or is a single fix; that one becomes a dead
letter, and a gap of its track. Only refusals of data are taken as such: any other failure goes through to the caller,
and storing the whole batch again later is safe.
"""

from collections.abc import Sequence

import structlog

from workers.tracks.failures import DATABASE_ERRORS, refusal_of
from workers.tracks.items import DeadLetter, Item, Reason, dead, gap_instead, halves
from workers.tracks.point_store import PointStore, Written
from workers.tracks.prepare import Prepared, prepare

_log = structlog.get_logger(__name__)


async def store_all(store: PointStore, items: Sequence[Item], prepared: Prepared | None = None) -> Written:
    """Store the items; what is refused comes back as dead letters. `prepared` are the items, if that is done."""
    try:
        return await store.write(prepared or prepare(items))
    except DATABASE_ERRORS as error:
        state = refusal_of(error)
        if state is None:
            raise
        culprit = getattr(error, "table_name", None)
    # What is refused with the track's own row (its rider does not exist) is refused for every fix of the record.
    parts = None if culprit == "tracks" and len(items) == 1 else halves(items)
    if parts is None:
        return await _bury(store, items[0], state)
    left, right = parts
    return await store_all(store, left) + await store_all(store, right)


async def _bury(store: PointStore, item: Item, state: str) -> Written:
    _log.warning("record_refused", track=str(item.record.track_id), kind=type(item.record).__name__, sqlstate=state)
    letters: list[DeadLetter] = [dead(item, Reason.REFUSED, state)]
    gap = gap_instead(item)
    if gap is not None:
        try:
            await store.write(prepare([gap]))
        except DATABASE_ERRORS as error:
            if refusal_of(error) is None:
                raise
            # The track itself cannot be stored (its rider is gone): then nobody waits for it either.
    return Written(0, letters, [])
