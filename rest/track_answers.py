"""How tracks look in answers: the list's line, the whole, the figures."""

from uuid import UUID

from pydantic import Field

from domain.tracks.library import Track, TrackState
from domain.tracks.service import Detail, Page
from geo.fix import Flag
from geo.statistics import TrackStatistics
from rest.schemas import Answer, epoch_ms, example

FLAG_NAMES = tuple(str(flag.name).lower() for flag in Flag)
"""Why a fix does not count, in the order of the bits."""

NEXT_CURSOR = "C2RldmVsb3BtZW50Xq0xN2M5ZjE4Mg"
"""A cursor of the examples."""
TRACK_ID = "01989c1e-7f00-7000-8000-000000000001"
"""The track of the examples."""
_FIGURES = {
    "distance_metres": 48210.4,
    "duration_seconds": 3605.0,
    "moving_seconds": 3120.0,
    "stopped_seconds": 485.0,
    "ascent_metres": 512.5,
    "descent_metres": 498.0,
    "max_speed": 31.2,
    "average_speed": 15.4,
    "fixes": 3598,
    "implausible": 3,
    "standing": 402,
    "repeated": 0,
}
_STOP = {"began_at": 1793501800000, "ended_at": 1793502285000, "latitude": 45.5301, "longitude": 9.2011}
_FLAGS = {"inaccurate": 1, "jump": 0, "spike": 2, "standing": 402, "repeated": 0, "ahead": 0}
_SUMMARY = {
    "id": TRACK_ID,
    "state": "computed",
    "motorcycle_id": "01989c1e-7f00-7000-8000-000000000002",
    "ride_id": "01989c1e-7f00-7000-8000-000000000003",
    "started_at": 1793500000000,
    "finished_at": 1793503605000,
    "points": 3598,
    "figures": _FIGURES,
}


class FiguresAnswer(Answer):
    """The figures of a track: metres, seconds, metres per second, and counts of fixes.

    They are of the whole track, also of what privacy zones hide: a sum does not say where it was ridden.
    """

    distance_metres: float
    duration_seconds: float
    moving_seconds: float
    stopped_seconds: float
    ascent_metres: float
    descent_metres: float
    max_speed: float
    average_speed: float
    fixes: int
    implausible: int
    standing: int
    repeated: int


class StopAnswer(Answer):
    """Where and when the rider stayed within 200 m for three minutes or more."""

    began_at: int
    ended_at: int
    latitude: float
    longitude: float


class FlagsAnswer(Answer):
    """How many of the stored points do not count, by reason; a point may have two. Provisional until computed."""

    inaccurate: int
    jump: int
    spike: int
    standing: int
    repeated: int
    ahead: int


class TrackSummary(Answer):
    """A track as the list has it. `started_at` is the phone's, or when the server first heard of it."""

    model_config = example(_SUMMARY)

    id: UUID
    state: TrackState
    motorcycle_id: UUID | None
    ride_id: UUID | None
    started_at: int
    finished_at: int | None
    points: int = Field(description="Points stored so far, flagged ones too.")
    figures: FiguresAnswer | None = Field(description="Null until the track is computed.")


class TracksAnswer(Answer):
    """Some tracks, newest first; `next_cursor` leads to older ones."""

    model_config = example({"items": [_SUMMARY], "next_cursor": NEXT_CURSOR})

    items: list[TrackSummary]
    next_cursor: str | None


class TrackStatisticsAnswer(Answer):
    """The statistics of a track. Stops in privacy zones are left out unless shown."""

    model_config = example(
        {"state": "computed", "computed_at": 1793503607000, "figures": _FIGURES, "stops": [_STOP], "flags": _FLAGS}
    )

    state: TrackState
    computed_at: int | None
    figures: FiguresAnswer | None = Field(description="Null until the track is computed.")
    stops: list[StopAnswer]
    flags: FlagsAnswer


class TrackAnswer(TrackSummary):
    """Everything about one track but its points."""

    model_config = example(
        _SUMMARY
        | {
            "first_heard_at": 1793500000200,
            "last_heard_at": 1793503605900,
            "computed_at": 1793503607000,
            "stops": [_STOP],
            "flags": _FLAGS,
        }
    )

    first_heard_at: int
    last_heard_at: int
    computed_at: int | None
    stops: list[StopAnswer]
    flags: FlagsAnswer


def tracks_answer(page: Page[Track]) -> TracksAnswer:
    """A page of the list."""
    return TracksAnswer(items=[_summary(track) for track in page.items], next_cursor=page.next_cursor)


def track_answer(detail: Detail) -> TrackAnswer:
    """A whole track."""
    track = detail.track
    return TrackAnswer(
        **vars(_summary(track)),
        first_heard_at=epoch_ms(track.first_heard_at),
        last_heard_at=epoch_ms(track.last_heard_at),
        computed_at=None if track.computed_at is None else epoch_ms(track.computed_at),
        stops=_stops(track.statistics),
        flags=_flags(detail.flags),
    )


def statistics_answer(detail: Detail) -> TrackStatisticsAnswer:
    """The statistics of a track."""
    track = detail.track
    return TrackStatisticsAnswer(
        state=track.state,
        computed_at=None if track.computed_at is None else epoch_ms(track.computed_at),
        figures=_figures(track.statistics),
        stops=_stops(track.statistics),
        flags=_flags(detail.flags),
    )


def flag_names(flags: int) -> list[str]:
    """The names of the flags that are set."""
    return [name for bit, name in enumerate(FLAG_NAMES) if flags >> bit & 1]


def _summary(track: Track) -> TrackSummary:
    return TrackSummary(
        id=track.id,
        state=track.state,
        motorcycle_id=track.motorcycle_id,
        ride_id=track.ride_id,
        started_at=epoch_ms(track.began_at),
        finished_at=None if track.finished_at is None else epoch_ms(track.finished_at),
        points=track.points,
        figures=_figures(track.statistics),
    )


def _figures(statistics: TrackStatistics | None) -> FiguresAnswer | None:
    if statistics is None:
        return None
    return FiguresAnswer(**{name: getattr(statistics, name) for name in FiguresAnswer.model_fields})


def _stops(statistics: TrackStatistics | None) -> list[StopAnswer]:
    stops = [] if statistics is None else statistics.stops
    return [
        StopAnswer(began_at=each.began_ms, ended_at=each.ended_ms, latitude=each.latitude, longitude=each.longitude)
        for each in stops
    ]


def _flags(counts: dict[int, int]) -> FlagsAnswer:
    return FlagsAnswer(
        **{
            name: sum(count for flags, count in counts.items() if flags >> bit & 1)
            for bit, name in enumerate(FLAG_NAMES)
        }
    )
