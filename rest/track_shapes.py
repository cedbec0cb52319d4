"""`/v1/tracks/{track_id}/geometry`, `…/profile`, `…/picture.svg`: what a client draws of a track."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import numpy as np
from fastapi import APIRouter, Query, Response
from pydantic import Field
from starlette.requests import Request

from domain.kit.errors import Code
from domain.tracks.library import Track, TrackState
from domain.tracks.picture import LARGEST, SMALLEST, Theme
from domain.tracks.reading import Zones
from domain.tracks.shapes import TrackLine
from domain.zones.service import Mask
from geo.geodesics import FloatArray
from geo.profile import Profile
from rest.conditional import PRIVATE, tag_of, unchanged
from rest.problems import documented
from rest.schemas import Answer, example
from rest.services import Services, SignedIn
from rest.track_answers import TRACK_ID
from rest.track_parameters import TrackId, ZonesQuery

router = APIRouter(prefix="/v1/tracks", tags=["tracks"])

_ERRORS = documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID)
_UNCHANGED: dict[int | str, dict[str, Any]] = {304: {"description": "The client has it already (`If-None-Match`)."}}
_LOOK = 1
"""Raised when pictures are drawn differently, so that clients ask for them again."""


class LineAnswer(Answer):
    """A GeoJSON MultiLineString: [longitude, latitude] in degrees. Empty where nothing may be shown."""

    type: Literal["MultiLineString"]
    coordinates: list[list[list[float]]]


class LinePropertiesAnswer(Answer):
    """No shown fix is further from the line than `tolerance_metres`."""

    track_id: UUID
    state: TrackState
    zoom: int
    tolerance_metres: float


class GeometryAnswer(Answer):
    """A GeoJSON Feature (RFC 7946); `bbox` is west, south, east, north, and left out of an empty one."""

    model_config = example(
        {
            "type": "Feature",
            "bbox": [9.18951, 45.46427, 9.2011, 45.5301],
            "geometry": {
                "type": "MultiLineString",
                "coordinates": [[[9.18951, 45.46427], [9.19512, 45.49001], [9.2011, 45.5301]]],
            },
            "properties": {"track_id": TRACK_ID, "state": "computed", "zoom": 12, "tolerance_metres": 6.75},
        }
    )

    type: Literal["Feature"]
    bbox: list[float] = Field(default_factory=list, min_length=4, max_length=4)
    geometry: LineAnswer
    properties: LinePropertiesAnswer


class ProfileAnswer(Answer):
    """Columns of one length: times in milliseconds since the epoch, metres from the start, metres, metres per second.

    Null where a value is unknown. `starts` are the positions of points that no line joins to the one before.
    """

    model_config = example(
        {
            "distance_metres": 1204.2,
            "timestamp": [1793500000000, 1793500060000, 1793500120000],
            "distance": [0.0, 611.0, 1204.2],
            "altitude": [122.5, 131.0, None],
            "speed": [0.0, 11.1, 9.8],
            "starts": [0],
        }
    )

    distance_metres: float
    timestamp: list[int]
    distance: list[float]
    altitude: list[float | None]
    speed: list[float | None]
    starts: list[int]


@router.get("/{track_id}/geometry", response_model=GeometryAnswer, responses=_ERRORS | _UNCHANGED)
async def geometry(
    request: Request,
    track_id: TrackId,
    identity: SignedIn,
    services: Services,
    zoom: Annotated[int, Query(ge=0, le=22, description="Zoom level of 512-pixel tiles.", examples=[12])] = 14,
    zones: ZonesQuery = Zones.HIDE,
) -> Response:
    """Get a track's line as a GeoJSON Feature.

    It is simplified for a zoom level to half a pixel, but not below 0.25 m. A new part begins after every gap (over
    five minutes and 200 m without a fix) and where a privacy zone was cut out. A line has at most 20,000 vertices; one
    that needs more is simplified further, as `tolerance_metres` says. Fixes that do not count are left out; of a track
    with over 250,000 fixes every n-th is looked at.
    """
    track, mask = await _found(services, identity.user_id, track_id, zones)
    tag = _tag(track, mask, "geometry", zoom, zones)
    if (answer := unchanged(request, tag)) is not None:
        return answer
    line = await services.shapes.line(track, mask, zoom)
    return await _json(tag, _feature, track, zoom, line)


@router.get("/{track_id}/profile", response_model=ProfileAnswer, responses=_ERRORS | _UNCHANGED)
async def profile(
    request: Request,
    track_id: TrackId,
    identity: SignedIn,
    services: Services,
    points: Annotated[int, Query(ge=10, le=1000, description="At most so many points.")] = 500,
    zones: ZonesQuery = Zones.HIDE,
) -> Response:
    """Chart elevation and speed over distance or time; of every stretch the extremes of both stay.

    The distance is of what is shown: with hidden ends it is shorter than the one of the statistics. Where the phone
    gave no speed that can be trusted, it is the speed between fixes.
    """
    track, mask = await _found(services, identity.user_id, track_id, zones)
    tag = _tag(track, mask, "profile", points, zones)
    if (answer := unchanged(request, tag)) is not None:
        return answer
    return await _json(tag, _profile, await services.shapes.profile(track, mask, points))


_SVG: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The picture.",
        "content": {
            "image/svg+xml": {
                "schema": {"type": "string"},
                "example": '<svg xmlns="http://www.w3.org/2000/svg" width="480" height="270">…</svg>',
            }
        },
    }
}


@router.get("/{track_id}/picture.svg", response_class=Response, responses=_ERRORS | _UNCHANGED | _SVG)
async def picture(
    request: Request,
    track_id: TrackId,
    identity: SignedIn,
    services: Services,
    width: Annotated[int, Query(ge=SMALLEST, le=LARGEST, description="Pixels.")] = 480,
    height: Annotated[int, Query(ge=SMALLEST, le=LARGEST, description="Pixels; from 120 on with elevation.")] = 270,
    theme: Theme = Theme.LIGHT,
    zones: ZonesQuery = Zones.HIDE,
) -> Response:
    """Get a small picture of a track for lists and previews, as SVG.

    A dot is where the track begins (green) or ends (red), a ring where a privacy zone hides the true end. A track
    without a line that may be shown has a picture too.
    """
    track, mask = await _found(services, identity.user_id, track_id, zones)
    tag = _tag(track, mask, "picture", _LOOK, width, height, theme, zones)
    if (answer := unchanged(request, tag)) is not None:
        return answer
    drawn = await services.shapes.picture(track, mask, width, height, theme)
    return Response(drawn, media_type="image/svg+xml", headers=PRIVATE | {"ETag": tag})


async def _found(services: Services, user_id: UUID, track_id: UUID, zones: Zones) -> tuple[Track, Mask]:
    track = await services.reader.find(user_id, track_id)
    return track, await services.reader.mask(track, zones)


def _tag(track: Track, mask: Mask, *how: object) -> str:
    """Changes with the points, their flags, and the rider's zones."""
    return tag_of(track.id, track.points, track.computed_at, track.state, mask.version, *how)


async def _json(tag: str, answer: Any, *values: Any) -> Response:
    body = await asyncio.to_thread(lambda: msgspec.json.encode(answer(*values)))
    return Response(body, media_type="application/json", headers=PRIVATE | {"ETag": tag})


def _feature(track: Track, zoom: int, line: TrackLine) -> dict[str, Any]:
    return {
        "type": "Feature",
        **({} if line.bounds is None else {"bbox": line.bounds}),
        "geometry": {"type": "MultiLineString", "coordinates": line.parts},
        "properties": {
            "track_id": track.id,
            "state": track.state,
            "zoom": zoom,
            "tolerance_metres": line.tolerance_metres,
        },
    }


def _profile(found: Profile) -> dict[str, Any]:
    distance = _rounded(found.distance, 1)
    return {
        "distance_metres": distance[-1] if distance else 0.0,
        "timestamp": found.timestamp.tolist(),
        "distance": distance,
        "altitude": _rounded(found.altitude, 1),
        "speed": _rounded(found.speed, 2),
        "starts": np.flatnonzero(found.starts).tolist(),
    }


def _rounded(values: FloatArray, digits: int) -> Sequence[float | None]:
    """The values as numbers of few digits, None for NaN."""
    return [None if value != value else value for value in values.round(digits).tolist()]  # noqa: PLR0124 - NaN
