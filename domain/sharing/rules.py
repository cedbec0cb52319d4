"""Audiences and what they come to at a moment: decisions only, no I/O."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from domain.kit.errors import Invalid, Unsupported
from geo.zones import Zone

LONGEST_SHARING_MS = 366 * 24 * 3600 * 1000
"""An audience can be chosen for up to a year ahead; for longer, leave the expiry out."""


class Audience(StrEnum):
    """Who may see a rider live."""

    PUBLIC = "public"
    FOLLOWERS = "followers"
    GROUPS = "groups"
    RIDE = "ride"
    NOBODY = "nobody"


DEFAULT_AUDIENCE = Audience.FOLLOWERS
"""What holds for a rider who never chose."""
SUPPORTED = frozenset({Audience.PUBLIC, Audience.FOLLOWERS, Audience.NOBODY})
"""The audiences that exist by now; groups and rides join when they do."""


@dataclass(frozen=True)
class SharingPolicy:
    """All that decides who sees a rider; the zones are the displaced ones. A higher version is newer."""

    audience: Audience
    expires_at_ms: int | None
    zones: tuple[Zone, ...]
    version: int


@dataclass(frozen=True)
class PolicyChange:
    """A rider's sharing or zones have changed; the policy has this version now. `rider` is the short number."""

    user_id: UUID
    rider: int
    version: int


def effective(audience: Audience, expires_at_ms: int | None, now_ms: int) -> Audience:
    """The audience at this moment: after its expiry it is nobody."""
    return Audience.NOBODY if expires_at_ms is not None and now_ms >= expires_at_ms else audience


def check_choice(audience: Audience, expires_at_ms: int | None, now_ms: int) -> None:
    """Raises Unsupported for an audience that does not exist yet, Invalid for an expiry that is past or too far."""
    if audience not in SUPPORTED:
        names = ", ".join(sorted(SUPPORTED))
        raise Unsupported(f"this audience is not available yet; choose one of {names}", field="audience")
    if expires_at_ms is None:
        return
    if expires_at_ms <= now_ms:
        raise Invalid("is in the past; it must be in milliseconds since 1970 UTC", field="expires_at")
    if expires_at_ms > now_ms + LONGEST_SHARING_MS:
        raise Invalid("is more than a year ahead; leave it out to share without an end", field="expires_at")
