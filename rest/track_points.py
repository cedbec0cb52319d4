"""`/v1/tracks/{track_id}/points`: the stored fixes of a track, page by page."""

import asyncio
from typing import Annotated, Any, NotRequired

import msgspec
from fastapi import APIRouter, Query, Response
from pydantic import ConfigDict
from typing_extensions import TypedDict

from domain.kit.errors import Code
from domain.tracks.paging import MOST_POINTS, Window
from domain.tracks.reading import Point, Zones
from domain.tracks.service import Page
from rest.problems import documented
from rest.schemas import Answer, example
from rest.services import Services, SignedIn
from rest.track_answers import NEXT_CURSOR, flag_names
from rest.track_parameters import Cursor, From, To, TrackId, ZonesQuery, moment

router = APIRouter(prefix="/v1/tracks", tags=["tracks"])

_VALUES = Point._fields[:10]
"""What is given out as it is stored."""
_POINT = {
    "seq": 0,
    "timestamp": 1793500000000,
    "latitude": 45.46427,
    "longitude": 9.18951,
    "altitude": 122.5,
    "accuracy": 4.1,
    "speed": 11.1,
    "heading": 271.0,
    "lean": -12.5,
    "battery": 0.75,
    "flags": [],
}


class PointAnswer(TypedDict):
    """A stored fix, in the words and units of the live contract; what the phone did not know is left out.

    `flags` says why it does not count; without one, it does.
    """

    __pydantic_config__ = ConfigDict(json_schema_extra={"examples": [_POINT]})  # type: ignore[misc]

    seq: int
    timestamp: int
    latitude: float
    longitude: float
    altitude: NotRequired[float]
    accuracy: NotRequired[float]
    speed: NotRequired[float]
    heading: NotRequired[float]
    lean: NotRequired[float]
    battery: NotRequired[float]
    flags: list[str]


class PointsAnswer(Answer):
    """Points in order of time, then of `seq`; `next_cursor` leads on, also from a page that zones left empty."""

    model_config = example({"items": [_POINT], "next_cursor": NEXT_CURSOR})

    items: list[PointAnswer]
    next_cursor: str | None


@router.get(
    "/{track_id}/points",
    response_model=PointsAnswer,
    responses=documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID),
)
async def points(
    track_id: TrackId,
    identity: SignedIn,
    services: Services,
    begins: From = None,
    ends: To = None,
    limit: Annotated[int, Query(ge=1, le=MOST_POINTS, description="Points on a page.")] = 1000,
    cursor: Cursor = None,
    zones: ZonesQuery = Zones.HIDE,
) -> Response:
    """Page through the stored fixes of a track, flagged ones too, in order of time, then of `seq`.

    Points in one's privacy zones are left out unless shown, so that a page may have fewer than `limit`, or none, and
    still lead on: read until `next_cursor` is null. Give the same window again with a cursor.
    """
    window = Window(moment(begins), moment(ends))
    page = await services.tracks.points(identity.user_id, track_id, zones, window, cursor=cursor, limit=limit)
    return Response(await asyncio.to_thread(_encoded, page), media_type="application/json")


def _encoded(page: Page[Point]) -> bytes:
    """The answer as JSON; ten thousand points are too many for models."""
    return msgspec.json.encode({"items": [_point(each) for each in page.items], "next_cursor": page.next_cursor})


def _point(point: Point) -> dict[str, Any]:
    known = {name: value for name, value in zip(_VALUES, point, strict=False) if value is not None}
    return known | {"flags": flag_names(point.flags)}
