"""The kinds of streams: whose they are, and what stands for the events that cannot be shown one by one.

A feature registers its kind, and decides on the server each time who may hear a stream of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from domain.kit.errors import NotFound, Problem

if TYPE_CHECKING:
    from domain.accounts.tokens import Identity


class StreamKind(Protocol):
    """The streams of one feature; their names begin with its `prefix` and a colon."""

    prefix: str

    def from_the_start(self, identity: "Identity") -> Sequence[str]:
        """The streams that this rider hears on every connection without asking. Asks nobody."""
        ...

    async def refusals(self, identity: "Identity", names: Sequence[str]) -> Mapping[str, Problem]:
        """Which of these streams this rider may not hear now, and why. Raises Unavailable when nobody can say."""
        ...

    async def snapshots(self, identity: "Identity", names: Sequence[str]) -> Mapping[str, msgspec.Struct]:
        """What each of these has come to: at least all that is in its events by now. Raises Unavailable."""
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

    async def authorise(self, identity: "Identity", names: Iterable[str]) -> None:
        """Raises the first refusal, with its field, and Unavailable when nobody can say."""
        for kind, some in self._by_kind(names).items():
            for name, problem in (await kind.refusals(identity, some)).items():
                problem.field = _field(name)
                raise problem

    async def snapshots(self, identity: "Identity", names: Iterable[str]) -> dict[str, msgspec.Struct]:
        """What each of these streams has come to. Raises NotFound, Unavailable."""
        found: dict[str, msgspec.Struct] = {}
        for kind, some in self._by_kind(names).items():
            found.update(await kind.snapshots(identity, some))
        return found

    def _by_kind(self, names: Iterable[str]) -> dict[StreamKind, list[str]]:
        """The names of each kind. Raises NotFound for one that is of none."""
        sorted_out: dict[StreamKind, list[str]] = {}
        for name in names:
            kind = self._kinds.get(name.partition(":")[0])
            if kind is None:
                known = ", ".join(f"{prefix}:…" for prefix in sorted(self._kinds))
                raise NotFound(f"there are no such streams; those there are: {known}", field=_field(name))
            sorted_out.setdefault(kind, []).append(name)
        return sorted_out


def _field(name: str) -> str:
    """Where a stream stands in the payload of `session:resume`."""
    return f"streams.{name}"
