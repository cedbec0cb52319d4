"""The names of channels and topics, made and read in this one place.

A channel travels between nodes, a topic is what a listener hears. Public positions travel by region (H3 resolution 4)
and are heard by cell (resolutions 5, 7 and 9); any other topic is its own channel.
"""

from functools import lru_cache

from geo import cells

REGION = "region:"
CELL = "cell:"
RIDER = "rider:"
TOPIC_RESOLUTIONS = cells.TOPIC_RESOLUTIONS
_CACHED = 65_536


@lru_cache(_CACHED)
def region_of(cell: int) -> str:
    """The channel of public positions in this cell of resolution 4 or finer. Raises ValueError for a coarser one."""
    return REGION + cells.name(cells.parent(cell, cells.REGION_RESOLUTION))


@lru_cache(_CACHED)
def topic_cells(cell: int) -> tuple[int, ...]:
    """The cells, one at each topic resolution, on which a rider in this resolution 9 cell is shown."""
    return tuple(cells.parent(cell, resolution) for resolution in TOPIC_RESOLUTIONS)


def cell_topic(cell: int) -> str:
    """The topic of a cell at resolution 5, 7 or 9."""
    return CELL + cells.name(cell)


def cell_of(topic: str) -> int | None:
    """The cell of a cell topic, None for any other. Raises ValueError when the cell is none that can be watched."""
    if not topic.startswith(CELL):
        return None
    cell = cells.from_name(topic.removeprefix(CELL))
    if cells.resolution_of(cell) not in TOPIC_RESOLUTIONS:
        raise ValueError(f"{topic!r} is not at one of the resolutions {TOPIC_RESOLUTIONS}")
    return cell


def channel_of(topic: str) -> str:
    """The channel that carries a topic. Raises ValueError for a cell that cannot be watched."""
    cell = cell_of(topic)
    return topic if cell is None else region_of(cell)


def is_region(channel: str) -> bool:
    """Whether this channel carries public positions, of which a rider has one at a time."""
    return channel.startswith(REGION)


def rider_topic(rider: int) -> str:
    """The topic (and channel) of one rider, for accepted followers."""
    return f"{RIDER}{rider}"
