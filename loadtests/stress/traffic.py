"""What a feature adds to a run: clients that work while things break, and what must hold of what they saw.

A later feature writes one class of this shape and names it in `run.py`; nothing else need know of it.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from loadtests.stress.faults import Happened, Timeline
from loadtests.stress.system import System


@dataclass(frozen=True)
class Run:
    """What traffic is given."""

    system: System
    timeline: Timeline
    seed: int
    wrong: Callable[[str], None]
    """Tell of a violation, in a sentence."""
    lag: Callable[[], float]
    """The longest, in seconds, that this program itself was kept from looking just now."""


class Traffic(Protocol):
    """One kind of traffic and its checks."""

    name: str

    async def begin(self) -> None:
        """Connect everybody; nothing is disturbed yet."""
        ...

    def work(self) -> Iterable[Awaitable[None]]:
        """What runs, each until it is cancelled, while things break."""
        ...

    def in_flight(self) -> int:
        """How much is under way right now: sent or written, and not acknowledged or received."""
        ...

    def healed(self, happened: Happened) -> None:
        """A fault is over."""
        ...

    async def settle(self) -> None:
        """Everything is well again: end what was begun and check what is kept. Tells of violations."""
        ...

    async def leave(self) -> None:
        """Everybody hangs up, however the run ended."""
        ...

    def figures(self) -> dict[str, Any]:
        """For the report."""
        ...
