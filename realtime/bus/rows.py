"""The row: how one live item travels between nodes and rests in Redis.

A row has a fixed width, and begins with what the bus needs to know: its rank (generation, version, kind; compared as
bytes, higher wins), when it happened, and whose it is. What follows is the hub's business. Fixed widths let Lua and
Python walk a batch without decoding it.
"""

RANK_BYTES = 17
"""generation (8, big-endian), version (8, big-endian), kind (1: a removal outranks a position of the same version)."""
TIME_END = 25
"""Bytes 17 to 25: milliseconds since the epoch, big-endian, by which rows grow old."""
KEY_END = 33
"""Bytes 25 to 33: the rider's number, big-endian; the field of the row in the channel's hash."""
ROW_BYTES = 53
"""The whole row."""
