"""What streams need from outside."""

from collections.abc import Sequence
from typing import Protocol

from domain.streams.rules import Appended


class StreamHints(Protocol):
    """Tells the nodes what was added to streams; Postgres has the truth, and every node looks there for itself."""

    async def said(self, appended: Sequence[Appended]) -> None:
        """Called after the commit. Never raises and never waits for anybody: a hint that is lost costs a moment."""
        ...
