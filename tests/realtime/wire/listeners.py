"""Sockets that write down what they are sent, for tests of what is above sockets."""

from collections.abc import Callable
from typing import Any

import msgspec

from realtime.wire.arguments import Arguments
from realtime.wire.interface import Closing, Socket
from realtime.wire.packets import Packet


class Listener:
    """Implements `interface.Socket`."""

    namespace = "/"
    address = "127.0.0.1"

    def __init__(self, sid: str, on_send: Callable[[], None] = lambda: None) -> None:
        self.sid = sid
        self.closed = False
        self.heard: list[Packet] = []
        self.volatile: list[bool] = []
        self.expected: dict[int, Callable[[Socket, Arguments | None], None]] = {}
        self._on_send = on_send

    @property
    def texts(self) -> list[str]:
        return [packet.text for packet in self.heard]

    def send(self, packet: Packet, *, volatile: bool = False) -> None:
        if not self.closed:
            self.heard.append(packet)
            self.volatile.append(volatile)
            self._on_send()

    def acknowledge(self, ack_id: int, *answers: object) -> None:
        raise AssertionError("nobody asked")

    def expect(self, ack_id: int, on_answer: Callable[[Socket, Arguments | None], None]) -> None:
        assert ack_id not in self.expected
        self.expected[ack_id] = on_answer

    def forget(self, ack_id: int) -> None:
        self.expected.pop(ack_id, None)

    def answer(self, *values: Any) -> None:
        """As its client: answer what was asked first."""
        ack_id = next(iter(self.expected))
        raw = [msgspec.Raw(msgspec.json.encode(value)) for value in values]
        self.expected.pop(ack_id)(self, Arguments(raw, 0))

    def backlog(self) -> int:
        return 0

    def mute(self) -> None:
        """It never says anything by itself."""

    def close(self, closing: Closing) -> None:
        self.disconnect()

    def leave(self) -> None:
        self.disconnect()

    def disconnect(self) -> None:
        self.closed = True
        expected, self.expected = self.expected, {}
        for on_answer in expected.values():
            on_answer(self, None)
