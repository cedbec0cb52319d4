"""The kinds of streams: whose they are, and what stands for the events that cannot be shown one by one.

A feature registers its kind, and decides on the server each time who may hear a stream of it.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from domain.kit.errors import NotFound

if TYPE_CHECKING:
    from domain.accounts.tokens import Identity


class StreamKind(Protocol):
    """The streams of one feature; their names begin with its `prefix` and a colon."""

    prefix: str

    def from_the_start(self, identity: "Identity") -> Sequence[str]:
        """The streams that this rider hears on every connection without asking. Asks nobody."""
        ...

    async def authorise(self, identity: "Identity", name: str) -> None:
        """Raises Forbidden or NotFound when this rider may not hear the stream now, Unavailable when nobody can say."""
        ...

    async def snapshot(self, identity: "Identity", name: str) -> msgspec.Struct:
        """What the stream has come to: at least all that is in its events by now. Raises Unavailable."""
        ...


class StreamKinds:
    """The kinds by prefix. Raises ValueError when two claim one."""

    def __init__(self, kinds: Iterable[StreamKind]) -> None:
        self._kinds: dict[str, StreamKind] = {}
        for kind in kinds:
            if self._kinds.setdefault(kind.prefix, kind) is not kind:
                raise ValueError(f"two kinds of streams are called {kind.prefix}")

    def from_the_start(self, identity: "Identity") -> list[str]:
        """The streams that this rider hears on every connection."""
        return [name for kind in self._kinds.values() for name in kind.from_the_start(identity)]

    def kind_of(self, name: str) -> StreamKind:
        """The kind of a stream. Raises NotFound when there is none of that name."""
        kind = self._kinds.get(name.partition(":")[0])
        if kind is None:
            known = ", ".join(f"{prefix}:…" for prefix in sorted(self._kinds))
            raise NotFound(f"there are no such streams; those there are: {known}")
        return kind
