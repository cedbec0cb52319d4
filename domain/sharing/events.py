"""What riders' own devices are told of sharing, on the rider's stream."""

from typing import Final

import msgspec

from domain.sharing.rules import Audience

SHARING_CHANGED: Final = "sharing:changed"


class SharingChanged(msgspec.Struct, frozen=True):
    """Who may see the rider from now on, until `expires_at` (milliseconds since the epoch, null: without an end).

    A higher `version` is newer.
    """

    audience: Audience
    expires_at: int | None
    version: int
