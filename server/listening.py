"""The address that a server listens on: looked at before anything is started, so that a sentence says what is wrong."""

import argparse
import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from server.stack import ports

HIGHEST_PORT = 65_535


class CannotListen(Exception):
    """Nobody can listen there now; the message says why, and who does where that can be found."""


def add_address(parser: argparse.ArgumentParser) -> None:
    """Declare --host and --port."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=port_number, default=8000, help="port to listen on (default: %(default)s)")


def port_number(text: str) -> int:
    """An argument of the command line. Raises ArgumentTypeError."""
    if not text.isdecimal() or not 1 <= int(text) <= HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to {HIGHEST_PORT}")
    return int(text)


def check_address(host: str, port: int, *, instead: str) -> None:
    """Raise CannotListen when the port is taken or not allowed; `instead` says what to do then, with {} for a port."""
    instead = instead.format(port + 1 if port < HIGHEST_PORT else port - 1)
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
            0
        ]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as fault:
        if fault.errno != errno.EADDRINUSE:
            raise CannotListen(f"cannot listen on {host}, port {port}: {fault.strerror}") from None
        pid = ports.listener(port)
        raise CannotListen(f"port {port} is in use{'' if pid is None else f' by pid {pid}'}; {instead}") from None


@contextmanager
def holding(host: str, port: int, *, instead: str) -> Iterator[None]:
    """Keep the port for those of this user's processes that share it, from `listeners`, and from all others.

    Raises CannotListen, as `check_address`.
    """
    check_address(host, port, instead=instead)
    with ExitStack() as held:
        try:
            for endpoint in _bound(host, port, share=False):
                held.enter_context(endpoint)
                # It was alone when it was bound, and lets in only those that ask to share from now on.
                endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
                endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        except OSError as fault:
            raise CannotListen(f"cannot listen on {host}, port {port}: {fault.strerror}") from None
        yield


def listeners(host: str, port: int, *, share: bool) -> list[socket.socket]:
    """Sockets to listen on, one for each address of the host.

    The kernel deals connections out to all who `share` them. Raises OSError.
    """
    return list(_bound(host, port, share=share))


def _bound(host: str, port: int, *, share: bool) -> Iterator[socket.socket]:
    """Bound sockets at every address of the host that this machine has. Raises OSError when there is none."""
    found = dict.fromkeys(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE))
    missing: OSError | None = None
    bound = 0
    for family, kind, _, _, address in found:
        try:
            endpoint = _endpoint(family, kind, share=share)
            try:
                endpoint.bind(address)
            except OSError:
                endpoint.close()
                raise
        except OSError as fault:
            if fault.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):  # `localhost` where there is no IPv6
                raise
            missing = fault
        else:
            bound += 1
            yield endpoint
    if missing is not None and not bound:
        raise missing


def _endpoint(family: int, kind: int, *, share: bool) -> socket.socket:
    endpoint = socket.socket(family, kind)
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, share)
    if family == socket.AF_INET6:
        endpoint.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    return endpoint
