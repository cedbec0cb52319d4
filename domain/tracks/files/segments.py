"""Where the line of a track is interrupted, in every file format alike."""

from domain.tracks.reading import Point

GAP_SECONDS = 300
"""Without a fix for longer than this nobody knows the way: a straight line would be an invention (proposed)."""


def interrupted(before: Point, point: Point) -> bool:
    """Whether no line may join two points that follow one another: a gap, or something hidden between them."""
    return point.after_hidden or point.timestamp - before.timestamp > GAP_SECONDS * 1000
