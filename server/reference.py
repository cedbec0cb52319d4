"""The reference pages, written from the code so that they cannot disagree with it: events, errors and settings.

`python -m server reference` writes them into docs/; a test fails when what is there is not what the code says.
"""

import inspect
import types
import typing
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import Any
from uuid import UUID

import msgspec

from domain.kit.errors import ERRORS
from realtime.gateway.codes import CLOSINGS
from realtime.gateway.contracts import Contract, Emission, StreamEmission
from realtime.gateway.events import location, session
from server.settings import Settings

_TYPES = {str: "text", int: "integer", float: "number", bool: "boolean", UUID: "UUID", datetime: "time", Any: "any"}
_PREFACE = """# Events

Written from the contracts by `python -m server reference`. Namespace `/`. Every client event takes one object and is
acknowledged; unknown fields are refused. Units: metres, metres per second, degrees, milliseconds since the epoch (UTC).

A refusal is an ack `{"error": {"code", "message", "field"?, "retry_after_ms"?, "trace_id"?}}`.
"""
_OF_STREAMS = (
    "| `stream` | text | yes |",
    "| `seq` | integer | yes |",
    "| `sent_at` | integer | yes |",
)
"""What every durable event begins with."""
_FEATURES = (("Session", session), ("Location", location))


def events_page() -> str:
    """docs/events.md."""
    parts = [_PREFACE]
    for title, module in _FEATURES:
        members = [value for _, value in inspect.getmembers(module)]
        contracts = [value for value in members if isinstance(value, Contract)]
        emissions = [value for value in members if isinstance(value, Emission)]
        parts.append(f"\n## {title}\n")
        if module is session:
            parts.append(_entry("CONNECT `auth`", session.ConnectAuth, "sent by the client when it connects", None))
        parts.extend(_contract(contract) for contract in sorted(contracts, key=lambda one: one.name))
        parts.extend(_emission(emission) for emission in sorted(emissions, key=lambda one: one.name))
    parts.append(_errors())
    parts.append(_closings())
    return "".join(parts)


def settings_page() -> str:
    """docs/settings.md."""
    rows = [
        f"| `{_variable(name)}` | `{_default(field.get_default(call_default_factory=True))}` | {field.description} |"
        for name, field in Settings.model_fields.items()
    ]
    head = (
        "# Settings\n\nWritten from `server/settings.py` by `python -m server reference`. All are environment "
        "variables; `python -m server settings --changed` shows those that differ from their defaults.\n\n"
        "| variable | default | meaning |\n|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def _contract(contract: Contract[Any]) -> str:
    limit = f"{contract.limit.per_second:g} a second, {contract.limit.burst} at once"
    about = f"client → server, promise **{contract.promise}**, at most {limit} and socket"
    return _entry(f"`{contract.name}`", contract.payload, about, contract.reply)


def _emission(emission: Emission[Any]) -> str:
    if isinstance(emission, StreamEmission):
        about = f"server → client, class **{emission.promise}**, on the stream `{emission.stream}:…`"
        own = f"{inspect.cleandoc(emission.payload.__doc__ or '')}\n\n{_fields(emission.payload, _OF_STREAMS)}"
        return f"\n### `{emission.name}`\n\n{about}\n\n{own}"
    return _entry(f"`{emission.name}`", emission.payload, f"server → client, class **{emission.promise}**", None)


def _entry(title: str, payload: type[Any], about: str, reply: type[Any] | None) -> str:
    text = f"\n### {title}\n\n{about}\n\n{inspect.cleandoc(payload.__doc__ or '')}\n\n{_fields(payload)}"
    if reply is not None:
        text += f"\nAck: {inspect.cleandoc(reply.__doc__ or '')}\n\n{_fields(reply)}"
    return text


def _fields(struct: type[Any], before: Sequence[str] = ()) -> str:
    fields = msgspec.structs.fields(struct)
    if not fields and not before:
        return "An empty object.\n"
    rows = [
        *before,
        *(f"| `{one.encode_name}` | {_type(one.type)} | {'yes' if one.required else 'no'} |" for one in fields),
    ]
    return "| field | type | always there |\n|---|---|---|\n" + "\n".join(rows) + "\n"


def _type(kind: Any) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _type(_described_as(arguments))
    if origin in (typing.Union, types.UnionType):
        kinds = (one for one in arguments if one is not msgspec.UnsetType)
        return " or ".join("null" if one is type(None) else _type(one) for one in kinds)
    if origin is list:
        return f"list of {_type(arguments[0])}"
    if origin is tuple:
        return f"[{', '.join(_type(one) for one in arguments)}]"
    if origin is dict:
        return f"object of {_type(arguments[1])}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return ", ".join(f"`{member.value}`" for member in kind)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return "{" + ", ".join(_sketch(one) for one in msgspec.structs.fields(kind)) + "}"
    return _TYPES.get(kind, str(kind))


def _described_as(annotated: tuple[Any, ...]) -> Any:
    """The type of a field, or that by which it is described because its handler decodes it."""
    notes = [one.extra for one in annotated[1:] if isinstance(one, msgspec.Meta) and one.extra]
    return notes[0].get("described_as", annotated[0]) if notes else annotated[0]


def _sketch(one: msgspec.structs.FieldInfo) -> str:
    return f"{one.encode_name}{'' if one.required else '?'}: {_type(one.type)}"


def _errors() -> str:
    rows = [
        f"| `{code}` | {row.status} | {row.title} | {row.retry.replace('_', ' ')} |" for code, row in ERRORS.items()
    ]
    intro = (
        "REST answers `unsupported` with 405 where the path has no such method (`Allow` names those it has), and with "
        "415 where a body's type or encoding is not read here.\n\n"
    )
    return _table("Error codes", "code | HTTP status | meaning | send it again", rows, intro)


def _closings() -> str:
    rows = [f"| `{one.code}` | {one.status} | {one.message} | {one.reconnect.replace('_', ' ')} |" for one in CLOSINGS]
    intro = (
        "The server says why in an `error` event with this code, then closes the transport. `connect_timeout` has no "
        "event: nobody has signed in who could hear it.\n\n"
    )
    return _table("Why a socket is closed", "code | WebSocket status | meaning | reconnect", rows, intro)


def _table(title: str, columns: str, rows: Iterable[str], intro: str = "") -> str:
    rule = "|".join("---" for _ in columns.split("|"))
    return f"\n## {title}\n\n{intro}| {columns} |\n|{rule}|\n" + "\n".join(rows) + "\n"


def _variable(name: str) -> str:
    return str(Settings.model_fields[name].validation_alias or f"THROTTLECOVE_{name.upper()}")


def _default(value: Any) -> str:
    return msgspec.json.encode(value, enc_hook=lambda secret: "(secret)").decode()
