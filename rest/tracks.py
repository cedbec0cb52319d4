"""`/v1/tracks`: the signed-in rider's own tracks, listed, looked at and deleted."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response, status

from domain.kit.errors import Code
from domain.tracks.listing import MOST_TRACKS, TrackFilter
from domain.tracks.reading import Zones
from rest.problems import documented
from rest.services import Services, SignedIn
from rest.track_answers import (
    TrackAnswer,
    TracksAnswer,
    TrackStatisticsAnswer,
    statistics_answer,
    track_answer,
    tracks_answer,
)
from rest.track_parameters import BoundsQuery, Cursor, From, To, TrackId, ZonesQuery, box, moment

router = APIRouter(prefix="/v1/tracks", tags=["tracks"])

_ONE_TRACK = documented(Code.UNAUTHENTICATED, Code.NOT_FOUND, Code.INVALID)


@router.get("", responses=documented(Code.UNAUTHENTICATED, Code.INVALID))
async def tracks(
    identity: SignedIn,
    services: Services,
    limit: Annotated[int, Query(ge=1, le=MOST_TRACKS, description="Tracks on a page.")] = 20,
    cursor: Cursor = None,
    begins: From = None,
    ends: To = None,
    motorcycle_id: UUID | None = None,
    finished: Annotated[bool | None, Query(description="Whether the phone has ended it, or fell silent.")] = None,
    bounds: BoundsQuery = None,
) -> TracksAnswer:
    """List one's tracks, newest first.

    `from` and `to` are about when a track began. `bounds` finds tracks whose line touches the box; a track has a line
    once it is computed. Give the same filters again with a cursor.
    """
    which = TrackFilter(moment(begins), moment(ends), motorcycle_id, finished, box(bounds))
    return tracks_answer(await services.tracks.page(identity.user_id, which, cursor=cursor, limit=limit))


@router.get("/{track_id}", responses=_ONE_TRACK)
async def track(
    track_id: TrackId, identity: SignedIn, services: Services, zones: ZonesQuery = Zones.HIDE
) -> TrackAnswer:
    """Look at one track.

    How far it has come, its figures, its stops, and how many of its points do not count and why. The figures are of
    the whole track, also of what privacy zones hide; stops in zones are left out unless shown.
    """
    return track_answer(await services.tracks.detail(identity.user_id, track_id, zones))


@router.get("/{track_id}/statistics", responses=_ONE_TRACK)
async def statistics(
    track_id: TrackId, identity: SignedIn, services: Services, zones: ZonesQuery = Zones.HIDE
) -> TrackStatisticsAnswer:
    """Read the statistics of a track.

    Distance and times are of the whole track, also of what privacy zones hide; stops in zones are left out unless
    shown. While a track is `recording` there are none yet; while it is `finished` they may still change.
    """
    return statistics_answer(await services.tracks.detail(identity.user_id, track_id, zones))


@router.delete("/{track_id}", status_code=status.HTTP_204_NO_CONTENT, responses=_ONE_TRACK)
async def delete_track(track_id: TrackId, identity: SignedIn, services: Services) -> Response:
    """Delete a track with all its points, for good.

    It does not come back: fixes of it that are still on their way to the database, or that a phone still sends, are
    acknowledged and dropped, or refused with `gone`. The phone makes a new track id for what it records next. A second
    request answers `not_found`.
    """
    await services.tracks.delete(identity.user_id, track_id)
    return Response(status_code=status.HTTP_204_NO_CONTENT)
