"""What a phone sends next: the newest fix live at the send interval, everything else in batches, late stretches last.

Decisions only: the caller says what time it is and does the sending. A fix leaves here once; one that was not
acknowledged is given back and goes out again in a batch, with the same number.
"""

import heapq
from collections import deque
from collections.abc import Iterable, Sequence

from loadtests.replay.schedule import Schedule


class Pacer:
    """Hands out the sequence numbers of one track. Times are monotonic seconds.

    `batch_every` is how long fixes that were not sent live wait for company.
    """

    def __init__(self, plan: Schedule, began: float, *, send_interval: float, batch_fixes: int, batch_every: float):
        self.send_interval = send_interval
        self.batch_fixes = batch_fixes
        self._batch_every = batch_every
        self._due = plan.due
        self._began = began
        self._late = {seq for stretch in plan.late for seq in stretch}
        self._cursor = 0
        self._waiting: deque[int] = deque()
        self._returned: list[tuple[float, int]] = []
        self._next_live = began
        self._next_batch = began + batch_every

    @property
    def rode_all(self) -> bool:
        """Whether every fix that is not kept back has fallen due."""
        return self._cursor == len(self._due)

    @property
    def empty(self) -> bool:
        """Whether nothing is left to hand out, now or later (kept-back stretches apart)."""
        return self.rode_all and not self._waiting and not self._returned

    def take_live(self, now: float) -> int | None:
        """The newest fix, when one has fallen due since the last and the send interval has passed."""
        self._advance(now)
        if not self._waiting or now < self._next_live:
            return None
        self._next_live = now + self.send_interval
        return self._waiting.pop()

    def take_batch(self, now: float) -> list[int]:
        """Fixes for one batch, oldest first: a full one at once, a smaller one at its time or when all is ridden."""
        self._advance(now)
        taken: list[int] = []
        if len(self._waiting) >= self.batch_fixes or now >= self._next_batch or self.rode_all:
            self._next_batch = now + self._batch_every
            while self._waiting and len(taken) < self.batch_fixes:
                taken.append(self._waiting.popleft())
        while self._returned and self._returned[0][0] <= now and len(taken) < self.batch_fixes:
            taken.append(heapq.heappop(self._returned)[1])
        return sorted(taken)

    def give_back(self, seqs: Iterable[int], not_before: float) -> None:
        """Send these again, in batches, from `not_before` on."""
        for seq in seqs:
            heapq.heappush(self._returned, (not_before, seq))

    def next_at(self) -> float | None:
        """When there may next be something to take; None when there is nothing to wait for."""
        moments: list[float] = []
        if not self.rode_all:
            moments.append(max(self._began + self._due[self._cursor], self._next_live))
            moments.append(max(self._began + self._due[self._cursor], self._next_batch))
        if self._waiting:
            # Once all is ridden, nothing waits for company.
            moments += [self._next_live, self._began if self.rode_all else self._next_batch]
        if self._returned:
            moments.append(self._returned[0][0])
        return min(moments, default=None)

    def upcoming(self, now: float, seconds: float) -> Sequence[int]:
        """The sequence numbers that fall due within the next `seconds`."""
        end = self._cursor
        while end < len(self._due) and self._began + self._due[end] <= now + seconds:
            end += 1
        return range(self._cursor, end)

    def _advance(self, now: float) -> None:
        while self._cursor < len(self._due) and self._began + self._due[self._cursor] <= now:
            if self._cursor not in self._late:
                self._waiting.append(self._cursor)
            self._cursor += 1
