"""What names, passwords, lockout and the rotation of refresh tokens are allowed to be: decisions only, no I/O."""

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, StrEnum, auto

from domain.kit.errors import Invalid
from domain.kit.text import clean, folded

LONGEST_USERNAME = 50
LONGEST_EMAIL = 254
"""Characters; the longest address that SMTP carries (RFC 5321, section 4.5.3.1.3, less the angle brackets)."""
SHORTEST_PASSWORD = 8
LONGEST_PASSWORD = 1024
"""Characters; bounds the work of hashing."""
LONGEST_DEVICE_ID = 200
LONGEST_REFRESH_TOKEN = 200
LONGEST_FULL_NAME = 200
LONGEST_USER_AGENT = 300

_EMAIL = re.compile(r"[^@\s]+@[^@\s.]+(\.[^@\s.]+)*")


class Role(StrEnum):
    """What a user may do; each role has the permissions of the ones before it."""

    USER = "user"
    MODERATOR = "moderator"
    ADMIN = "admin"
    SUPER_ADMIN = "super_admin"


_GRANTED: dict[Role, tuple[str, ...]] = {
    Role.USER: ("read:own", "write:own", "read:public"),
    Role.MODERATOR: ("moderate:content",),
    Role.ADMIN: ("admin:users",),
    Role.SUPER_ADMIN: ("admin:system",),
}


def permissions_of(role: Role) -> tuple[str, ...]:
    """Everything this role may do, its own permissions after those of the roles before it."""
    roles = list(Role)
    return tuple(name for each in roles[: roles.index(role) + 1] for name in _GRANTED[each])


def check_username(value: str) -> str:
    """The username as it is kept: letters, digits, `.`, `_` and `-` of any script. Raises Invalid.

    It has no `@`, so that a name can never be taken for somebody's e-mail address at sign-in.
    """
    name = unicodedata.normalize("NFKC", clean(value, "username", longest=LONGEST_USERNAME))
    if len(name) > LONGEST_USERNAME:
        raise Invalid(f"must have at most {LONGEST_USERNAME} characters", field="username")
    if not all(each in "._-" or unicodedata.category(each)[0] in "LMN" for each in name):
        raise Invalid("may have letters, digits, '.', '_' and '-' only", field="username")
    if unicodedata.category(name[0])[0] not in "LN":
        raise Invalid("must begin with a letter or a digit", field="username")
    return name


def check_email(value: str) -> str:
    """The address as it is kept. Raises Invalid for what cannot be one; only a message can prove the rest."""
    address = clean(value, "email", longest=LONGEST_EMAIL)
    if not _EMAIL.fullmatch(address):
        raise Invalid("must be an e-mail address, like rider@example.org", field="email")
    return address


def check_password_text(password: str) -> None:
    """Raises Invalid for what cannot be hashed: too long, or not text."""
    if len(password) > LONGEST_PASSWORD:
        raise Invalid(f"must have at most {LONGEST_PASSWORD} characters", field="password")
    if any(unicodedata.category(each) == "Cs" for each in password):
        raise Invalid("has half a surrogate pair, which is not text", field="password")


def check_password(password: str, username: str, email: str) -> None:
    """Raises Invalid for a password that is too short, too long, or known to everybody who knows the rider."""
    check_password_text(password)
    if len(password) < SHORTEST_PASSWORD:
        raise Invalid(f"must have at least {SHORTEST_PASSWORD} characters", field="password")
    if folded(password) in (folded(username), folded(email)):
        raise Invalid("must not be the username or the e-mail address", field="password")
    if len(set(password)) < 3:
        raise Invalid("must have at least three different characters", field="password")


@dataclass(frozen=True)
class Lockout:
    """How many wrong passwords in a row an account takes, and how long it rests then."""

    attempts: int = 10
    rest: timedelta = timedelta(minutes=15)


def is_locked(locked_until: datetime | None, now: datetime) -> bool:
    """Whether the account rests; while it does, not even the right password is looked at."""
    return locked_until is not None and now < locked_until


def count_attempt(
    lockout: Lockout, attempts: int, locked_until: datetime | None, now: datetime
) -> tuple[int, datetime | None]:
    """The new count and lock of an account that is not locked now, when one more sign-in is tried.

    It is counted before the password is looked at, so that many tries at once are no way around; success sets it back.
    """
    counted = 1 if locked_until is not None else attempts + 1
    return counted, now + lockout.rest if counted >= lockout.attempts else None


class Rotation(Enum):
    """What becomes of a refresh token that was presented."""

    ISSUE = auto()
    """It is the current one: a new one takes its place."""
    REPEAT = auto()
    """Its answer was lost: the successor is given again."""
    REUSE = auto()
    """Two parties hold it: the session ends."""
    ENDED = auto()
    """The session has ended or was revoked before."""


@dataclass(frozen=True)
class Presented:
    """A refresh token that was presented, and what is known of it and its session."""

    superseded_at: datetime | None
    successor_used: bool
    same_device: bool
    session_expires_at: datetime
    session_revoked: bool


def rotation(presented: Presented, now: datetime, grace: timedelta) -> Rotation:
    """What to do with a presented refresh token.

    The previous token is honoured for `grace` on the same device, because answers get lost. A successor that was used
    proves that its answer arrived, so then the previous token is nobody's any more (RFC 9700, section 4.14.2).
    """
    if presented.session_revoked or now >= presented.session_expires_at:
        return Rotation.ENDED
    if not presented.same_device:
        return Rotation.REUSE
    if presented.superseded_at is None:
        return Rotation.ISSUE
    in_time = now - presented.superseded_at <= grace
    return Rotation.REPEAT if in_time and not presented.successor_used else Rotation.REUSE
