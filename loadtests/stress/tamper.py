"""Tampers with what one client was sent, to prove that the checks can fail: one event is lost, doubled or swapped.

Where the connection ends before that can show (whoever resumes is sent it again), it is done to a later event.
"""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

Sabotage: TypeAlias = Literal["lose", "duplicate", "swap"]
SABOTAGES: tuple[Sabotage, ...] = ("lose", "duplicate", "swap")
_EVENTS_FIRST = 10
"""Events that pass before."""

Payload: TypeAlias = Mapping[str, Any]


class Tamper:
    """Stands between a connection and the one who listens to it."""

    def __init__(self, how: Sabotage | None, *, first: int = _EVENTS_FIRST) -> None:
        self.done = how is None
        self._how = how
        self._pass = first
        self._taken: Payload | None = None
        self._taken_on: object = None

    def through(self, connection: object, payload: Payload) -> list[Payload]:
        """What the listener gets instead of this event."""
        if self.done:
            return [payload]
        if self._pass:
            self._pass -= 1
            return [payload]
        if self._how == "duplicate":
            self.done = True
            return [payload, payload]
        if self._taken is None or self._taken_on is not connection:
            self._taken, self._taken_on = payload, connection
            return []
        self.done = True
        return [payload, self._taken] if self._how == "swap" else [payload]
