"""What to tell somebody who sent what is no JSON: which rule, and the field where it is near the beginning.

Pure. JavaScript writes null for NaN; other languages write the word, which no JSON parser has to read.
"""

import re

import msgspec

from domain.kit.errors import Invalid

_LONGEST_LOOK = 4096
"""Bytes before the fault that are read again to find its field: a fault costs no more than a good event."""
_AT_BYTE = re.compile(r"\(byte (\d+)\)")
_NO_NUMBER = re.compile(rb"-?(nan|inf)", re.IGNORECASE)
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[\[\]{}:,]')
_OPEN, _CLOSE = "[{", "]}"


def bad_json(error: msgspec.DecodeError, body: str) -> Invalid:
    """The complaint about the JSON of an event, `["name", payload]`; its field is a path in the payload."""
    at = _AT_BYTE.search(str(error))
    if at is None:
        return Invalid("not valid JSON: it ends too early")
    data = body.encode(errors="replace")
    position = int(at.group(1))
    # msgspec stops behind a sign, and behind an n, which might be that of null.
    if any(_NO_NUMBER.match(data, begin) for begin in (position, position - 1)):
        sentence = "NaN and Infinity are not JSON: leave out what is not known"
    else:
        sentence = "not valid JSON: " + str(error).removeprefix("JSON is malformed: ")
    return Invalid(sentence, field=_field_at(data, position))


def _field_at(data: bytes, position: int) -> str | None:
    """The path of the value that begins at this byte, None when it is far away or not in the first argument."""
    if position > _LONGEST_LOOK:
        return None
    place: list[str | int] = []
    name = ""
    for token in _TOKEN.findall(data[:position].decode(errors="replace")):
        if token in _OPEN:
            place.append(0 if token == "[" else "")
        elif token in _CLOSE:
            del place[-1:]
        elif token == ":" and place:
            place[-1] = name
        elif token == "," and place and isinstance(place[-1], int):
            place[-1] += 1
        else:
            name = token[1:-1]
    return _path(place[1:]) if place[:1] == [1] else None


def _path(place: list[str | int]) -> str | None:
    """`fixes[3].latitude`, as msgspec writes it of values that are JSON."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return "".join(parts).removeprefix(".") or None
