"""Which handler answers which event: collected once at start from the objects that carry `@handles` methods."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from realtime.gateway.client import Client
from realtime.gateway.contracts import CONTRACT_ATTRIBUTE, Contract, Lane, Limit, Result


@dataclass(slots=True, eq=False)
class Route:
    """A contract, the bound method that handles it, and the limit in force."""

    contract: Contract[Any]
    handle: Callable[[Client, Any], Result]
    limit: Limit
    done: int = 0
    """Events that went well; a plain number, counted up in many places, and told to operators by `EventCounts`."""
    name: str = field(init=False)
    key: bytes = field(init=False)
    """The event's name as it stands in a packet."""
    lane: Lane = field(init=False)
    decode: Callable[[bytes], Any] = field(init=False)
    """The payload of JSON. Raises msgspec's errors, UnicodeDecodeError or RecursionError."""

    def __post_init__(self) -> None:
        self.name = self.contract.name
        self.key = self.name.encode()
        self.lane = self.contract.lane
        self.decode = self.contract.decoder.json.decode


class Registry:
    """Routes by event name. `limits` replace those of the contracts.

    Raises ValueError when two handlers claim an event, or a limit is for an event that nobody handles.
    """

    def __init__(self, handlers: Iterable[object], limits: Mapping[str, Limit] | None = None) -> None:
        self._routes: dict[str, Route] = {}
        self.find = self._routes.get
        """The route of an event, or None when nothing handles it."""
        self._limits = dict(limits or {})
        for handler in handlers:
            self._collect(handler)
        if unknown := self._limits.keys() - self._routes.keys():
            raise ValueError(f"limits for events that nobody handles: {', '.join(sorted(unknown))}")

    def _collect(self, handler: object) -> None:
        for name in dir(type(handler)):
            contract = getattr(getattr(type(handler), name), CONTRACT_ATTRIBUTE, None)
            if isinstance(contract, Contract):
                self._add(Route(contract, getattr(handler, name), self._limits.get(contract.name, contract.limit)))

    def _add(self, route: Route) -> None:
        if route.contract.name in self._routes:
            raise ValueError(f"two handlers for {route.contract.name}")
        self._routes[route.contract.name] = route

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())
