"""Work that must not crowd out the rest: so many at once on this node, and so many of them for one rider."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from domain.kit.errors import RateLimited, Unavailable

_RETRY_AFTER_MS = 5_000


class Turns:
    """Counts what is running; refuses at once instead of queueing, because a queue only hides that it is too much."""

    def __init__(self, *, at_once: int, of_one_rider: int) -> None:
        self._at_once = at_once
        self._of_one_rider = of_one_rider
        self._running: Counter[UUID] = Counter()

    @contextmanager
    def take(self, user_id: UUID) -> Iterator[None]:
        """Hold a turn. Raises RateLimited when the rider has enough running, Unavailable when the node has."""
        if self._running[user_id] >= self._of_one_rider:
            raise RateLimited("one of these is running for you already; wait for it", retry_after_ms=_RETRY_AFTER_MS)
        if self._running.total() >= self._at_once:
            raise Unavailable("too much of this is going on here; try again", retry_after_ms=_RETRY_AFTER_MS)
        self._running[user_id] += 1
        try:
            yield
        finally:
            self._running[user_id] -= 1
            self._running += Counter()  # forgets riders without any
