"""Binary values of JSON packets: taken out into attachments when they leave, put back when they arrive. Pure.

{"_placeholder": true, "num": 0}      stands for the first attachment (socket.io-protocol, revision 5)
"""

from collections.abc import Sequence
from typing import Any

import msgspec

_BINARY = (bytes, bytearray, memoryview)
_MARK = "_placeholder"


class BadPlaceholder(ValueError):
    """A placeholder that does not stand for one attachment, or an attachment without one."""


def take_out(values: Sequence[object]) -> tuple[list[object], list[bytes]]:
    """Copies of the values with placeholders for what is binary, and the attachments.

    Raises BadPlaceholder when something else reads like a placeholder: its receiver would put an attachment there.
    Raises TypeError for what msgspec cannot write.
    """
    attachments: list[bytes] = []
    # Structs, dates and so on become what JSON has for them; only the binary ones are left as they are.
    plain = msgspec.to_builtins(list(values), builtin_types=_BINARY, str_keys=True)
    taken: list[object] = _without_binary(plain, attachments)
    if not attachments:
        return list(values), attachments
    placeholders = _count_placeholders(taken)
    if placeholders != len(attachments):
        raise BadPlaceholder(f"a value beside attachments has {_MARK!r}, the sign of an attachment")
    return taken, attachments


def put_back(values: list[object], attachments: Sequence[bytes]) -> list[object]:
    """The values with each attachment in the place of its one placeholder; changes them. Raises BadPlaceholder."""
    left = dict(enumerate(attachments))
    whole: list[object] = _with_binary(values, left)
    if left:
        raise BadPlaceholder(f"no placeholder for attachment {min(left)}")
    return whole


def _without_binary(value: Any, attachments: list[bytes]) -> Any:
    if isinstance(value, _BINARY):
        attachments.append(bytes(value))
        return {_MARK: True, "num": len(attachments) - 1}
    if isinstance(value, dict):
        return {name: _without_binary(inner, attachments) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_binary(inner, attachments) for inner in value]
    return value


def _count_placeholders(value: Any) -> int:
    if isinstance(value, dict):
        return (value.get(_MARK) is True) + sum(map(_count_placeholders, value.values()))
    return sum(map(_count_placeholders, value)) if isinstance(value, list) else 0


def _with_binary(value: Any, left: dict[int, bytes]) -> Any:
    if isinstance(value, dict):
        if value.get(_MARK) is True:
            return _attachment(value.get("num"), left)
        for name, inner in value.items():
            value[name] = _with_binary(inner, left)
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            value[place] = _with_binary(inner, left)
    return value


def _attachment(number: object, left: dict[int, bytes]) -> bytes:
    if type(number) is not int or number not in left:
        raise BadPlaceholder("each placeholder has the number of an attachment that no other has")
    return left.pop(number)
