"""Riders over real sockets, with a server that refuses, hangs up and rejects: nothing is lost or believed twice."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from loadtests.replay.fleet import Fleet
from loadtests.replay.journeys import Journeys
from loadtests.replay.ledger import Ledger, State
from loadtests.replay.options import Options
from tests.loadtests.peer import Peer, Road, serving

_FIXES = 120


def _track(directory: Path, name: str) -> None:
    times = [f"2024-05-01T10:{index // 60:02}:{index % 60:02}Z" for index in range(_FIXES)]
    points = "".join(
        f'<trkpt lat="{46.5 + index * 1e-4:.6f}" lon="11.3"><time>{time}</time></trkpt>'
        for index, time in enumerate(times)
    )
    (directory / name).write_text(f"<gpx><trk><trkseg>{points}</trkseg></trk></gpx>")


class Nodes:
    """Two peers on one road, and the fleet that rides on them."""

    def __init__(self, road: Road, peers: list[Peer], urls: list[str], tracks: Path) -> None:
        self.road = road
        self.peers = peers
        options = Options(urls=tuple(urls), tracks=tracks, within=1.5)
        self.fleet = Fleet(options, Journeys(options), note=lambda _: None)

    def all_kept(self) -> bool:
        """Whether the road has exactly what the ledgers believe, with the file's own numbers."""
        believed = {
            (str(ledger.track_id), seq): ledger.track.fixes[seq].payload()
            for ledger in self.fleet.ledgers
            for seq, state in enumerate(ledger.states)
            if state == State.ACKNOWLEDGED
        }
        return believed == self.road.stored


@pytest.fixture
async def nodes(tmp_path: Path) -> AsyncIterator[Nodes]:
    _track(tmp_path, "a.gpx")
    road = Road()
    peers = [Peer(road), Peer(road)]
    async with AsyncExitStack() as stack:
        urls = [await stack.enter_async_context(serving(peer)) for peer in peers]
        yield Nodes(road, peers, urls, tmp_path)


def _only(fleet: Fleet) -> Ledger:
    (ledger,) = fleet.ledgers
    return ledger


async def test_every_fix_is_acknowledged_once_live_in_batches_and_late(nodes: Nodes) -> None:
    await nodes.fleet.ride()
    ledger = _only(nodes.fleet)
    assert ledger.acknowledged_count == _FIXES
    assert nodes.all_kept()
    assert set(nodes.road.times_stored.values()) == {1}
    assert 0 < ledger.live < 20  # 15, unless the machine stands still
    assert ledger.late == 15
    assert nodes.peers[0].most_in_batch <= 10
    assert nodes.road.stopped == {str(ledger.track_id): _FIXES - 1}
    stopped_at = nodes.peers[0].events.index("track:stop")
    assert "location:batch" in nodes.peers[0].events[stopped_at:], "the last stretch comes after the end"


async def test_the_watcher_is_on_the_other_node_and_sees_the_rider(nodes: Nodes) -> None:
    await nodes.fleet.ride()
    assert "map:watch" in nodes.peers[1].events
    assert "map:watch" not in nodes.peers[0].events
    sightings = _only(nodes.fleet).sightings
    assert sightings
    assert all(sighting.watched and sighting.seen_at is not None for sighting in sightings)
    assert all(0 <= (sighting.seen_at or 0) - sighting.sent_at < 20 for sighting in sightings)


async def test_unavailable_is_sent_again_with_the_same_number(nodes: Nodes) -> None:
    refusal = {"code": "unavailable", "message": "later", "retry_after_ms": 50}
    nodes.peers[0].refusals.extend([refusal] * 8)
    await nodes.fleet.ride()
    ledger = _only(nodes.fleet)
    assert ledger.acknowledged_count == _FIXES
    assert ledger.resent >= 8
    assert nodes.all_kept()


async def test_what_was_under_way_when_the_socket_ended_is_sent_again(nodes: Nodes) -> None:
    nodes.peers[0].hang_ups = 2
    await nodes.fleet.ride()
    ledger = _only(nodes.fleet)
    assert ledger.acknowledged_count == _FIXES
    assert nodes.fleet.reconnects >= 2
    assert nodes.all_kept()


async def test_rejected_fixes_are_listed_with_their_code(nodes: Nodes) -> None:
    nodes.peers[0].reject_seqs = frozenset({0, 1, 50, 51, 119})
    await nodes.fleet.ride()
    ledger = _only(nodes.fleet)
    assert ledger.refusals == dict.fromkeys((0, 1, 50, 51, 119), "invalid")
    assert ledger.acknowledged_count == _FIXES - 5
    assert nodes.all_kept()


async def test_a_token_that_is_not_taken_is_refreshed(nodes: Nodes) -> None:
    nodes.peers[0].connect_refusals.extend(["token_expired", "unavailable"])
    await nodes.fleet.ride()
    assert nodes.peers[0].signed_in == ["register", "refresh"]
    assert _only(nodes.fleet).acknowledged_count == _FIXES
