"""The parts of a GPX document that are read, as a table: which element, where, is what."""

from enum import Enum, auto

NAMESPACE = "http://www.topografix.com/GPX/1/1"
"""GPX 1.1."""
OWN_NAMESPACE = "urn:throttlecove:gpx:1"
"""Of the one element that our exports add to each point: `fix`, with what a fix has beyond GPX as attributes.

Attributes, each left out when unknown: `seq`, `speed` (metres per second), `heading` (degrees clockwise from north),
`accuracy` (metres), `lean` (degrees, to the right positive), `battery` (0 to 1), `flags` (`geo.fix.Flag`).
"""
OWN_ATTRIBUTES = frozenset(("seq", "speed", "heading", "accuracy", "lean", "battery"))
"""The attributes that are read back; flags are computed anew."""
_GARMIN = tuple(f"http://www.garmin.com/xmlschemas/TrackPointExtension/v{version}" for version in (1, 2))


class Place(Enum):
    """Where in the document the reader is."""

    DOCUMENT = auto()
    ELSEWHERE = auto()
    """In an element that is not read, and nothing in it is."""
    GPX = auto()
    WAYPOINT = auto()
    ROUTE = auto()
    TRACK = auto()
    TRACK_NAME = auto()
    SEGMENT = auto()
    POINT = auto()
    ELEVATION = auto()
    TIME = auto()
    SPEED = auto()
    COURSE = auto()
    EXTENSIONS = auto()
    GARMIN_POINT = auto()
    OWN_FIX = auto()


CHILDREN: dict[Place, dict[str, Place]] = {
    Place.DOCUMENT: {"gpx": Place.GPX},
    Place.GPX: {"trk": Place.TRACK, "rte": Place.ROUTE, "wpt": Place.WAYPOINT},
    Place.TRACK: {"name": Place.TRACK_NAME, "trkseg": Place.SEGMENT},
    Place.SEGMENT: {"trkpt": Place.POINT},
    Place.POINT: {
        "ele": Place.ELEVATION,
        "time": Place.TIME,
        "speed": Place.SPEED,  # GPX 1.0; some write it in 1.1 as well
        "course": Place.COURSE,
        "extensions": Place.EXTENSIONS,
    },
    Place.EXTENSIONS: {
        f"{OWN_NAMESPACE} fix": Place.OWN_FIX,
        **{f"{namespace} TrackPointExtension": Place.GARMIN_POINT for namespace in _GARMIN},
    },
    Place.GARMIN_POINT: {
        f"{namespace} {name}": place
        for namespace in _GARMIN
        for name, place in (("speed", Place.SPEED), ("course", Place.COURSE))
    },
}
"""What an element is, by its parent's place and its name (in extensions with the namespace); others are ELSEWHERE."""

FIELDS: dict[Place, str] = {
    Place.TRACK_NAME: "name",
    Place.ELEVATION: "altitude",
    Place.TIME: "time",
    Place.SPEED: "speed",
    Place.COURSE: "heading",
}
"""Places whose text is read, and what it is called here."""
