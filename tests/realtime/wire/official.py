"""The official parsers of Socket.IO for JavaScript, asked from here."""

import base64
import json
import subprocess
from typing import Any

from hypothesis import settings

from realtime.wire.packets import Format
from tests.support.javascript import DIRECTORY, node

Message = str | bytes
UNHURRIED = settings(deadline=None)
"""For tests of many examples that ask another process."""


class OfficialParsers:
    """socket.io-parser and socket.io-msgpack-parser in a Node of their own, until `close`."""

    def __init__(self) -> None:
        self._node = subprocess.Popen(
            [node(), str(DIRECTORY / "parsers.mjs")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def decode(self, form: Format, messages: list[Message]) -> dict[str, Any] | None:
        """The packet that these messages make, None when they are refused; bytes are bytes, undefined is left out."""
        answer = self._ask(form, decode=[_message(message) for message in messages])
        return _untagged(answer["packet"]) if "packet" in answer else None

    def encode(self, form: Format, packet: dict[str, Any]) -> list[Message]:
        """The messages of a packet; see `parsers.mjs` for the tags of what JSON has not."""
        messages = self._ask(form, encode=_tagged(packet))["messages"]
        return [part["text"] if "text" in part else base64.b64decode(part["binary"]) for part in messages]

    def close(self) -> None:
        """End it."""
        self._node.communicate()

    def _ask(self, form: Format, **request: Any) -> dict[str, Any]:
        assert self._node.stdin is not None
        assert self._node.stdout is not None
        print(json.dumps({"parser": form.name.lower(), **request}), file=self._node.stdin, flush=True)
        answer: dict[str, Any] = json.loads(self._node.stdout.readline())
        return answer


def messages_of(frames: bytes) -> list[Message]:
    """What is in unmasked WebSocket frames, each one a whole message."""
    messages: list[Message] = []
    while frames:
        first, length, begin = frames[0], frames[1], 2
        if length >= 126:
            begin = 4 if length == 126 else 10
            length = int.from_bytes(frames[2:begin], "big")
        data, frames = frames[begin : begin + length], frames[begin + length :]
        assert len(data) == length
        messages.append(data.decode() if first == 0x81 else data)
        assert first in (0x81, 0x82)
    return messages


def _message(message: Message) -> dict[str, str]:
    return {"text": message} if isinstance(message, str) else {"binary": base64.b64encode(message).decode()}


def _tagged(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, dict):
        return {name: _tagged(inner) for name, inner in value.items()}
    return [_tagged(inner) for inner in value] if isinstance(value, list) else value


def _untagged(value: Any) -> Any:
    if isinstance(value, dict):
        if "$bytes" in value:
            return base64.b64decode(value["$bytes"])
        return {name: _untagged(inner) for name, inner in value.items() if inner != {"$undefined": True}}
    return [_untagged(inner) for inner in value] if isinstance(value, list) else value
