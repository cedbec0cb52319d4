"""Places in a list, given to a client to come back with: opaque, sealed, and good for one rider and one list only.

A cursor says where a page ended. Being sealed, it cannot be made up, and it tells nothing of what it holds.
"""

import base64
import binascii
from typing import TypeVar

import msgspec

from domain.kit.errors import Invalid
from domain.kit.sealed import SealBroken, Sealer

P = TypeVar("P", bound=msgspec.Struct)

LONGEST_CURSOR = 400
"""Characters."""


class Cursors:
    """Writes and reads cursors."""

    def __init__(self, sealer: Sealer) -> None:
        self._sealer = sealer

    def write(self, place: msgspec.Struct, bound_to: str) -> str:
        """The cursor for a place, in letters that a URL can carry."""
        sealed = self._sealer.seal(msgspec.msgpack.encode(place), _bound(bound_to))
        return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode()

    def read(self, cursor: str, bound_to: str, kind: type[P]) -> P:
        """The place of a cursor. Raises Invalid, field `cursor`, for one that was not written for this list."""
        try:
            sealed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
            return msgspec.msgpack.decode(self._sealer.open(sealed, _bound(bound_to)), type=kind)
        except (SealBroken, binascii.Error, ValueError, msgspec.MsgspecError) as error:
            raise Invalid("is not a cursor of this list; begin again without one", field="cursor") from error


def _bound(bound_to: str) -> str:
    return f"cursor:{bound_to}"
