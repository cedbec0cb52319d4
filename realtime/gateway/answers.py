"""How a refusal reads: the body of an error ack, of CONNECT_ERROR's data and of the `error` event; faults by field."""

import re

import msgspec

from domain.kit.errors import Invalid, Problem
from realtime.wire.packets import Arguments, P, PayloadDecoder

_AT = re.compile(r" - at `\$\.?([^`]*)`$")
_NAMED = re.compile(r"field `([^`]*)`")


class ErrorBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a client is told about a refusal."""

    code: str
    message: str
    field: str | None = None
    retry_after_ms: int | None = None
    trace_id: str | None = None


class Refusal(msgspec.Struct, frozen=True):
    """The ack of an event that was refused."""

    error: ErrorBody


def body_of(problem: Problem, trace_id: str | None = None) -> ErrorBody:
    """The body for a problem."""
    return ErrorBody(problem.code.value, problem.message, problem.field, problem.retry_after_ms, trace_id)


def decode_only(arguments: Arguments, decoder: PayloadDecoder[P]) -> P:
    """The one object that every event carries, as its type. Raises Invalid with the field at fault."""
    if arguments.binary:
        raise Invalid("binary where text is due: send one JSON object")
    if len(arguments) != 1:
        raise Invalid(f"an event carries exactly one object, not {len(arguments)} arguments")
    try:
        return arguments.decode(decoder)
    except msgspec.ValidationError as error:
        raise invalid_field(str(error)) from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Invalid(f"not valid JSON: {error}") from error
    except RecursionError as error:
        raise Invalid("nested too deeply") from error


def invalid_field(complaint: str) -> Invalid:
    """msgspec's complaint with its path (``… - at `$.fix.latitude` ``) taken apart into a sentence and a field."""
    at = _AT.search(complaint)
    sentence = complaint[: at.start()] if at else complaint
    path = (at.group(1) if at else "").removesuffix("[...]")  # somewhere inside, says msgspec of what has no type
    named = _NAMED.search(sentence)
    field = ".".join(part for part in (path, named.group(1) if named else "") if part)
    return Invalid(sentence, field=field or None)
