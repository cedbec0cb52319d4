"""Which slot of a Redis Cluster a command belongs to: by its key, or by that of the command before it. Pure.

A command without a key (`WAIT`, `TIME`) goes where the one before it went; the first of a batch to the slot 0, so that
all processes ask the same master. Commands whose keys are in several slots are Redis' to refuse.
"""

from binascii import crc_hqx
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from domain.kit.redis_urls import Address

SLOTS = 16384

Command: TypeAlias = tuple[str | bytes | int | float, ...]

_KEYLESS = frozenset({"TIME", "WAIT", "PING", "INFO", "SCRIPT", "CONFIG", "CLIENT", "CLUSTER", "COMMAND", "ROLE"})
_KEY_AT = {"EVAL": 3, "EVALSHA": 3, "XGROUP": 2, "XINFO": 2, "MEMORY": 2, "OBJECT": 2, "PUBSUB": 2}
_AFTER_A_WORD = {"XREAD": b"STREAMS", "XREADGROUP": b"STREAMS"}


@lru_cache(maxsize=65536)
def slot_of(key: str | bytes) -> int:
    """The slot of a key or a sharded channel: of what stands in its first braces, when anything does."""
    data = key.encode() if isinstance(key, str) else key
    begin = data.find(b"{")
    if begin >= 0:
        end = data.find(b"}", begin + 1)
        if end > begin + 1:
            data = data[begin + 1 : end]
    return crc_hqx(data, 0) % SLOTS


def key_of(command: Command) -> str | bytes | None:
    """The first key of a command, or None when it has none."""
    name = _text(command[0])
    if name in _KEYLESS:
        return None
    if name in _AFTER_A_WORD:
        at = [_bytes(value).upper() for value in command].index(_AFTER_A_WORD[name]) + 1
    else:
        at = _KEY_AT.get(name, 1)
    if at >= len(command) or (name in {"EVAL", "EVALSHA"} and int(command[2]) == 0):
        return None
    key = command[at]
    return key if isinstance(key, str | bytes) else str(key)


def _text(value: str | bytes | int | float) -> str:
    return (value.decode() if isinstance(value, bytes) else str(value)).upper()


def _bytes(value: str | bytes | int | float) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


@dataclass(slots=True)
class Unit:
    """A command with a key and those without one behind it: they go to one node together."""

    first: int
    """The place of the command in its batch."""
    slot: int
    commands: list[Command]
    asking: Address | None = None
    """Where it has to go this once, because its slot is on its way there."""


def units_of(commands: Sequence[Command]) -> Iterator[Unit]:
    """The batch, divided into what has to stay together."""
    unit: Unit | None = None
    for place, command in enumerate(commands):
        key = key_of(command)
        if key is None and unit is not None:
            unit.commands.append(command)
            continue
        if unit is not None:
            yield unit
        unit = Unit(place, 0 if key is None else slot_of(key), [command])
    if unit is not None:
        yield unit
