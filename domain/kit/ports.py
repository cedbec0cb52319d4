"""What the domain needs of whoever speaks to connected clients, from whatever process it runs in."""

from collections.abc import Sequence
from typing import Protocol


class EmitPort(Protocol):
    """Says something to clients that are connected now; nothing is kept for those that are not."""

    async def emit(
        self, event: str, *arguments: object, to: Sequence[str] | None, but: Sequence[str] = (), namespace: str = "/"
    ) -> int:
        """Send an event to every client in one of the rooms `to` (None: to everybody) and in none of `but`.

        Both name rooms and single sockets. Returns how many nodes have heard it, counted for each room; a node without
        a member of a room does not listen for it. Raises Unavailable when it is not known to be said, and TypeError or
        ValueError for arguments that JSON cannot hold.
        """
        ...
