"""`/v1/tracks/…/export` and `/v1/tracks/import`: a rider's tracks as files, out and in, streamed both ways."""

import asyncio
import time
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Response, status
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from domain.kit.errors import Code, Invalid, Unavailable
from domain.tracks.files import geojson, gpx
from domain.tracks.files.exporting import Flagged, Format
from domain.tracks.files.importing import Imported
from domain.tracks.reading import Zones
from rest.downloads import Download
from rest.limits import Tier, spend
from rest.problems import documented, documented_as
from rest.schemas import Answer, example
from rest.services import Services, SignedIn
from rest.track_parameters import TrackId

router = APIRouter(prefix="/v1/tracks", tags=["tracks"])

IMPORT_PATH = "/v1/tracks/import"
"""The one route whose body may be larger than others'."""
GPX_TYPES = (gpx.MEDIA_TYPE, "application/xml", "text/xml", "application/octet-stream")
PAUSE_SECONDS = 20.0
"""How long an upload may pause."""
UPLOAD_SECONDS = 600.0
"""How long an upload may take: 64 MiB at one megabit a second."""

_EXAMPLE_GPX = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<gpx xmlns="http://www.topografix.com/GPX/1/1" version="1.1" creator="example">\n'
    "<trk><name>Pass road</name><trkseg>\n"
    '<trkpt lat="46.5281" lon="10.4531"><ele>2757</ele><time>2025-06-14T09:30:00Z</time></trkpt>\n'
    '<trkpt lat="46.5285" lon="10.4538"><ele>2751.5</ele><time>2025-06-14T09:30:05Z</time></trkpt>\n'
    "</trkseg></trk></gpx>\n"
)
_EXPORT_CONTENT: dict[str, Any] = {
    gpx.MEDIA_TYPE: {"schema": {"type": "string", "description": "GPX 1.1."}},
    geojson.MEDIA_TYPE: {
        "schema": {"type": "object", "description": "A GeoJSON Feature (RFC 7946) with a MultiLineString."}
    },
}
_UNREADABLE_TYPE = {
    **documented_as(415, Code.UNSUPPORTED),
    "description": "`unsupported`: The body is of a type, or in an encoding, that is not read here",
}


class ImportedTrackAnswer(Answer):
    """What became of one `trk` of the file."""

    track_id: UUID | None = Field(description="The track; null when nothing in it can be recorded.")
    name: str | None
    points: int = Field(description="Track points in the file.")
    fixes: int = Field(description="Those that are recorded.")
    without_time: int = Field(description="Those that have no time, or none that can be read; they are skipped.")
    rejected: dict[str, int] = Field(description="Those that are no possible fix, counted by the field at fault.")
    values_left_out: int = Field(description="Altitudes, speeds and headings that make no sense; their points stay.")


class ImportAnswer(Answer):
    """What became of a GPX file. Waypoints and routes are no recordings; they are counted only."""

    model_config = example(
        {
            "tracks": [
                {
                    "track_id": "01989c1e-7f00-8000-8000-0000000000d1",
                    "name": "Pass road",
                    "points": 2,
                    "fixes": 2,
                    "without_time": 0,
                    "rejected": {},
                    "values_left_out": 0,
                }
            ],
            "waypoints": 0,
            "routes": 0,
        }
    )

    tracks: list[ImportedTrackAnswer]
    waypoints: int
    routes: int


@router.get(
    "/{track_id}/export",
    response_class=Response,
    responses={
        200: {"description": "The file, as it is made.", "content": _EXPORT_CONTENT},
        **documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID),
    },
)
async def export_track(
    track_id: TrackId,
    identity: SignedIn,
    services: Services,
    kind: Annotated[Format, Query(alias="format", description="GPX 1.1, or GeoJSON.")] = Format.GPX,
    zones: Annotated[Zones, Query(description="`hide` leaves out what is in your privacy zones.")] = Zones.HIDE,
    flagged: Annotated[
        Flagged, Query(description="`omit` leaves out flagged fixes: spikes, and jitter while standing.")
    ] = Flagged.INCLUDE,
) -> Response:
    """One of your tracks as a file, for other programs and for importing it again.

    A new segment begins wherever there was no fix for over five minutes, or a privacy zone cuts the line. In GPX, what
    the format has no element for is in `<fix xmlns="urn:throttlecove:gpx:1">` of each point: seq, speed (m/s), heading,
    accuracy (m), lean, battery (0 to 1), flags. The file is streamed: if the connection closes before its end, it is
    not the whole track.
    """
    export = await services.exporter.export(identity.user_id, track_id, kind, zones, flagged)
    return Download(export.pieces, filename=export.filename, media_type=export.media_type)


@router.post(
    "/import",
    status_code=status.HTTP_202_ACCEPTED,
    responses={
        **documented(Code.UNAUTHENTICATED, Code.INVALID, Code.TOO_LARGE, Code.CONFLICT),
        415: _UNREADABLE_TYPE,
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "description": "A GPX 1.0 or 1.1 file as it is, not as a form.",
            "content": {kind: {"schema": {"type": "string"}, "example": _EXAMPLE_GPX} for kind in GPX_TYPES},
        }
    },
)
async def import_tracks(request: Request, identity: SignedIn, services: Services) -> ImportAnswer:
    """Record the tracks of a GPX file, each `trk` as one track, with the same checks and flags as a phone's.

    Nothing is recorded of a file that is refused; `reason` says why. Once answered, the tracks are kept, and appear
    within seconds. The same file is the same tracks: after `unavailable`, send it again.
    """
    _check_type(request)
    await spend(request, services.limits, Tier.UPLOADS, str(identity.user_id))
    imported = await services.importer.import_gpx(identity.user_id, _pieces(request))
    return _answer(imported)


def _check_type(request: Request) -> None:
    kind = request.headers.get("content-type", GPX_TYPES[0]).partition(";")[0].strip().lower()
    if kind not in GPX_TYPES:
        message = f"send the file itself as the body, with content-type {GPX_TYPES[0]}"
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send the file without compression")


async def _pieces(request: Request) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises Unavailable when it does not, Invalid when it breaks off."""
    stream = request.stream()
    deadline = time.monotonic() + UPLOAD_SECONDS
    while True:
        try:
            async with asyncio.timeout(min(PAUSE_SECONDS, deadline - time.monotonic())):
                piece = await anext(stream, None)
        except TimeoutError:
            raise Unavailable("the upload takes too long; send it again", retry_after_ms=1000) from None
        except ClientDisconnect:
            raise Invalid("the upload broke off", field="body") from None
        if piece is None:
            return
        yield piece


def _answer(imported: Imported) -> ImportAnswer:
    tracks = [ImportedTrackAnswer.model_validate(track, from_attributes=True) for track in imported.tracks]
    return ImportAnswer(tracks=tracks, waypoints=imported.waypoints, routes=imported.routes)
