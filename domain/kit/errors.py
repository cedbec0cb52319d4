"""Every answer that says no: one type a code, and one table that tells clients what to do about it.

REST turns a `Problem` into problem details (RFC 9457), the socket into an ack `{"error": {...}}`; both read `ERRORS`.
"""

from enum import StrEnum
from typing import ClassVar, NamedTuple


class Code(StrEnum):
    """The error codes of the live contract and of REST."""

    INVALID = "invalid"
    UNAUTHENTICATED = "unauthenticated"
    TOKEN_EXPIRED = "token_expired"
    FORBIDDEN = "forbidden"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"
    GONE = "gone"
    TOO_LARGE = "too_large"
    RATE_LIMITED = "rate_limited"
    UNAVAILABLE = "unavailable"
    UNSUPPORTED = "unsupported"
    INTERNAL = "internal"


class Retry(StrEnum):
    """What a client does next."""

    NEVER = "never"
    AFTER_CHANGE = "after_change"
    AFTER_LOGIN = "after_login"
    LATER = "later"


class ErrorRow(NamedTuple):
    """One line of the error table: HTTP status, title, and what the client does next."""

    status: int
    title: str
    retry: Retry


ERRORS: dict[Code, ErrorRow] = {
    Code.INVALID: ErrorRow(422, "The request has a value that cannot be used", Retry.AFTER_CHANGE),
    Code.UNAUTHENTICATED: ErrorRow(401, "Sign in first", Retry.AFTER_LOGIN),
    Code.TOKEN_EXPIRED: ErrorRow(401, "The access token has ended; refresh it", Retry.AFTER_LOGIN),
    Code.FORBIDDEN: ErrorRow(403, "Not allowed for this rider", Retry.NEVER),
    Code.NOT_FOUND: ErrorRow(404, "There is no such thing", Retry.AFTER_CHANGE),
    Code.CONFLICT: ErrorRow(409, "It clashes with what is already there", Retry.AFTER_CHANGE),
    Code.GONE: ErrorRow(410, "It was here and is not any more", Retry.NEVER),
    Code.TOO_LARGE: ErrorRow(413, "Too large", Retry.AFTER_CHANGE),
    Code.RATE_LIMITED: ErrorRow(429, "Too many requests", Retry.LATER),
    Code.UNAVAILABLE: ErrorRow(503, "Not known to be kept; send it again with the same id", Retry.LATER),
    Code.UNSUPPORTED: ErrorRow(400, "Not something this server does", Retry.NEVER),
    Code.INTERNAL: ErrorRow(500, "A fault on our side", Retry.LATER),
}


class Problem(Exception):
    """A refusal with a code, a sentence a developer can act on, and, where there is one, the field at fault.

    `retry_after_ms` is set where waiting helps, `reason` where a program must tell refusals of one code apart. The
    message never holds a token, a position or a body.
    """

    code: ClassVar[Code] = Code.INTERNAL

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        retry_after_ms: int | None = None,
        reason: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.retry_after_ms = retry_after_ms
        self.reason = reason

    @property
    def row(self) -> ErrorRow:
        """The line of the error table for this problem's code."""
        return ERRORS[self.code]


class Invalid(Problem):
    """A value of the request cannot be used; `field` names it."""

    code = Code.INVALID


class Unauthenticated(Problem):
    """No token, or one that is forged, malformed or revoked."""

    code = Code.UNAUTHENTICATED


class TokenExpired(Problem):
    """The access token was good and has ended."""

    code = Code.TOKEN_EXPIRED


class Forbidden(Problem):
    """Known, and not allowed."""

    code = Code.FORBIDDEN


class NotFound(Problem):
    """No such thing, or none that this rider may know of."""

    code = Code.NOT_FOUND


class Conflict(Problem):
    """Clashes with what is there: a name that is taken, a track of somebody else."""

    code = Code.CONFLICT


class Gone(Problem):
    """Was here, and is not any more."""

    code = Code.GONE


class TooLarge(Problem):
    """More bytes, items or area than one request may have."""

    code = Code.TOO_LARGE


class RateLimited(Problem):
    """Too many requests; `retry_after_ms` says when the next one is welcome."""

    code = Code.RATE_LIMITED


class Unavailable(Problem):
    """Not known to be kept; sending it again with the same id is safe."""

    code = Code.UNAVAILABLE


class Unsupported(Problem):
    """Not something this server does (an event that does not exist, an audience that is not built)."""

    code = Code.UNSUPPORTED


class Internal(Problem):
    """A fault on our side; the trace id is in the answer and in the log."""

    code = Code.INTERNAL
