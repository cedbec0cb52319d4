"""What requests about tracks have in common: the track's id, `zones`, spans of time, cursors, boxes."""

from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

from fastapi import Path, Query

from domain.kit.cursors import LONGEST_CURSOR
from domain.kit.errors import Invalid
from domain.tracks.reading import Zones
from geo.viewport import Bounds, BoundsError
from rest.track_answers import TRACK_ID

LAST_MS = 253_402_300_799_999
"""The end of the year 9999."""

TrackId = Annotated[UUID, Path(description="The id that the phone made.", examples=[TRACK_ID])]
ZonesQuery = Annotated[
    Zones,
    Query(alias="zones", description="`hide` leaves out what lies in one's privacy zones; `show` gives all of it."),
]
Cursor = Annotated[
    str | None,
    Query(
        min_length=1,
        max_length=LONGEST_CURSOR,
        description="`next_cursor` of the page before. It is good for this rider and this list only.",
    ),
]
From = Annotated[
    int | None, Query(alias="from", ge=0, le=LAST_MS, description="Not before this; milliseconds since the epoch.")
]
To = Annotated[
    int | None, Query(alias="to", ge=0, le=LAST_MS, description="Before this; milliseconds since the epoch.")
]
_NUMBER = r"-?[0-9]{1,3}(\.[0-9]{1,15})?"
BoundsQuery = Annotated[
    str | None,
    Query(
        pattern=rf"^{_NUMBER}(,{_NUMBER}){{3}}$",
        max_length=100,
        description="west,south,east,north in degrees; west greater than east crosses the antimeridian.",
        examples=["8.5,44.5,9.5,46"],
    ),
]


def moment(epoch_ms: int | None) -> datetime | None:
    """A time of a query."""
    return None if epoch_ms is None else datetime.fromtimestamp(epoch_ms / 1000, UTC)


def box(text: str | None) -> Bounds | None:
    """The bounds of a query. Raises Invalid, field `bounds`."""
    if text is None:
        return None
    bounds = Bounds(*(float(number) for number in text.split(",")))
    try:
        bounds.check()
    except BoundsError as error:
        raise Invalid(str(error), field="bounds") from error
    return bounds
