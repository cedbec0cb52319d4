"""The names of channels and topics, made and read in this one place.

A channel travels between nodes, a topic is what a listener hears. Public positions travel by region (H3 resolution 4)
and are heard by cell (resolutions 5, 7 and 9); any other topic is its own channel.
"""

REGION = "region:"
CELL = "cell:"
RIDER = "rider:"
TOPIC_RESOLUTIONS = (5, 7, 9)


def region_of(cell: int) -> str:
    """The channel of public positions in this resolution-9 cell."""
    raise NotImplementedError


def cell_topic(cell: int) -> str:
    """The topic of a cell at resolution 5, 7 or 9."""
    raise NotImplementedError


def rider_topic(rider: int) -> str:
    """The topic (and channel) of one rider, for accepted followers."""
    return f"{RIDER}{rider}"
