"""An address that cannot be listened on is found before anything starts, and named with who has it."""

import argparse
import os
import socket

import pytest

from server.listening import CannotListen, check_address, port_number


def test_a_port_in_use_is_named_with_its_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen) as refused:
            check_address("127.0.0.1", port, instead="take {}")
    other = port + 1 if port < 65_535 else port - 1
    assert str(refused.value) == f"port {port} is in use by pid {os.getpid()}; take {other}"
    check_address("127.0.0.1", port, instead="")


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(CannotListen, match=r"cannot listen on 192\.0\.2\.1, port 8000: "):
        check_address("192.0.2.1", 8000, instead="")


@pytest.mark.parametrize("text", ["0", "65536", "-1", "http", "8000.5", ""])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="from 1 to 65535"):
        port_number(text)
