"""The address that a server listens on: looked at before anything is started, so that a sentence says what is wrong."""

import argparse
import errno
import socket

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
