"""How many may be inside at once: on the node, from one address, and without having said who they are."""

import ipaddress
from collections import Counter
from http import HTTPStatus
from typing import NamedTuple

from realtime.wire.handshake import FORBIDDEN, Refusal, forbidden
from realtime.wire.interface import STOPPING
from realtime.wire.options import WireOptions

_STOPPING = "stopping"


class Away(NamedTuple):
    """Why one more is sent away."""

    status: HTTPStatus
    reason: str
    """`stopping`, `node` (it is full), `strangers` (too many have not said who they are) or `address`."""

    def answer(self) -> Refusal:
        """What whoever asked is told. Clients and proxies try the next server at once when this one stops."""
        if self.reason == _STOPPING:
            return Refusal(self.status, FORBIDDEN, STOPPING.message, retry_after_seconds=1)
        return forbidden("try again later", self.status)


class Doors:
    """Counts connections. A network's IPv6 addresses (/64) count as one."""

    def __init__(self, options: WireOptions) -> None:
        self._options = options
        self._addresses: Counter[str] = Counter()
        self._open = 0
        self._unauthenticated = 0
        self.shut = False
        """Set when the node stops: nobody is let in any more."""
        self.refused: Counter[str] = Counter()
        """How many were sent away, by reason."""

    def refusal(self, address: str) -> Away | None:
        """Why one more from this address is sent away, which is counted; None when it may come in."""
        away = self._full(address)
        if away is not None:
            self.refused[away.reason] += 1
        return away

    def _full(self, address: str) -> Away | None:
        if self.shut:
            return Away(HTTPStatus.SERVICE_UNAVAILABLE, _STOPPING)
        if self._open >= self._options.sockets:
            return Away(HTTPStatus.SERVICE_UNAVAILABLE, "node")
        if self._unauthenticated >= self._options.sockets_unauthenticated:
            return Away(HTTPStatus.SERVICE_UNAVAILABLE, "strangers")
        if self._addresses[_network(address)] >= self._options.sockets_per_address:
            return Away(HTTPStatus.TOO_MANY_REQUESTS, "address")
        return None

    def enter(self, address: str) -> None:
        """One more, not signed in yet."""
        self._open += 1
        self._unauthenticated += 1
        self._addresses[_network(address)] += 1

    def leave(self, address: str, *, authenticated: bool) -> None:
        """One less."""
        network = _network(address)
        self._open -= 1
        self._unauthenticated -= not authenticated
        self._addresses[network] -= 1
        if not self._addresses[network]:
            del self._addresses[network]

    def signed_in(self) -> None:
        """One of the unknown has said who it is."""
        self._unauthenticated -= 1

    def signed_out(self) -> None:
        """One of the known is unknown again."""
        self._unauthenticated += 1

    @property
    def open(self) -> int:
        """Connections open."""
        return self._open


def _network(address: str) -> str:
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address
