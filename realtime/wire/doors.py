"""How many may be inside at once: on the node, from one address, and without having said who they are."""

import ipaddress
from collections import Counter
from http import HTTPStatus

from realtime.wire.options import WireOptions


class Doors:
    """Counts connections. A network's IPv6 addresses (/64) count as one."""

    def __init__(self, options: WireOptions) -> None:
        self._options = options
        self._addresses: Counter[str] = Counter()
        self._open = 0
        self._unauthenticated = 0
        self.shut = False
        """Set when the node stops: nobody is let in any more."""

    def refusal(self, address: str) -> HTTPStatus | None:
        """The HTTP status with which one more from this address is sent away, or None."""
        if self.shut or self._open >= self._options.sockets:
            return HTTPStatus.SERVICE_UNAVAILABLE
        if self._unauthenticated >= self._options.sockets_unauthenticated:
            return HTTPStatus.SERVICE_UNAVAILABLE
        if self._addresses[_network(address)] >= self._options.sockets_per_address:
            return HTTPStatus.TOO_MANY_REQUESTS
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
