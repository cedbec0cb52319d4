"""Which handler answers which event: collected once at start from the objects that carry `@handles` methods."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from realtime.gateway.client import Client
from realtime.gateway.contracts import CONTRACT_ATTRIBUTE, Contract, Result


@dataclass(frozen=True, slots=True)
class Route:
    """A contract and the bound method that handles it."""

    contract: Contract[Any]
    handle: Callable[[Client, Any], Result]


class Registry:
    """Routes by event name. Two handlers for one event stop the start."""

    def __init__(self, handlers: Iterable[object]) -> None:
        self._routes: dict[str, Route] = {}
        for handler in handlers:
            self._collect(handler)

    def _collect(self, handler: object) -> None:
        for name in dir(type(handler)):
            contract = getattr(getattr(type(handler), name), CONTRACT_ATTRIBUTE, None)
            if isinstance(contract, Contract):
                self._add(Route(contract, getattr(handler, name)))

    def _add(self, route: Route) -> None:
        if route.contract.name in self._routes:
            raise ValueError(f"two handlers for {route.contract.name}")
        self._routes[route.contract.name] = route

    def find(self, name: str) -> Route | None:
        """The route of an event, or None when nothing handles it."""
        return self._routes.get(name)

    def __iter__(self) -> Iterator[Route]:
        return iter(self._routes.values())
