"""How many public riders this node has in each region: those whose dot it has put on the map, and who are on it still.

A rider in a privacy zone, or with another audience, is in no region and thus not counted. A rider who went to another
node is that node's as soon as this one hears of it; of whom it may not have heard, it says so.
"""

from collections.abc import Container
from dataclasses import dataclass, field

from geo import cells
from realtime.hub.pace import Slices
from realtime.hub.records import LiveRecord
from realtime.hub.state import Channel, LiveState


@dataclass(frozen=True)
class Census:
    """One count. `doubtful` are riders (with their generation, by channel) who may be another node's by now."""

    counts: dict[int, int] = field(default_factory=dict)
    doubtful: dict[str, dict[int, int]] = field(default_factory=dict)


async def take_census(
    state: LiveState, here: Container[int], slices: Slices, *, oldest_ms: int, silent_ms: int
) -> Census:
    """Count the riders whose position is not older than `oldest_ms`; about 1 µs each, in slices.

    `here` are the riders with a place on this node. Whoever publishes learns that another node has the rider, and so
    does a node that hears the region; in doubt are those who have gone, or were last heard of before `silent_ms`.
    """
    census = Census()
    counted: set[int] = set()  # who changes regions meanwhile is not counted twice
    for channel in list(state.channels.values()):
        if not channel.is_region or not channel.own:
            continue
        found = [one for one in _positions(channel, oldest_ms) if one.rider not in counted]
        if found:
            counted.update([one.rider for one in found])
            census.counts[cells.parent(found[0].cell, cells.REGION_RESOLUTION)] = len(found)
        if not channel.synced:
            doubts = {
                one.rider: one.generation for one in found if one.rider not in here or one.received_ms < silent_ms
            }
            if doubts:
                census.doubtful[channel.name] = doubts
        if slices.used_up:
            await slices.rest()
    return census


def _positions(channel: Channel, oldest_ms: int) -> list[LiveRecord]:
    """Where this node's riders in the region are."""
    positions = (channel.position(channel.items[rider]) for rider in channel.own)
    return [one for one in positions if one is not None and one.received_ms >= oldest_ms]
