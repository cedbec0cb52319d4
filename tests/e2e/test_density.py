"""Zoomed out, a viewer is sent how many riders are where: over two nodes, through zones, crashes and outages."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from geo import cells
from server.stack import RedisServer
from tests.e2e.phones import Phone, around, phone, register, rest_client
from tests.e2e.processes import Node, Site, pair_of, site
from tests.support import eventually
from tests.support.databases import Databases
from tests.support.servers import new_redis, running

INTERVAL_SECONDS = 0.3
ALPS = {"bounds": [5.0, 44.0, 16.0, 49.0], "zoom": 6}
ICELAND = {"bounds": [-25.0, 63.0, -13.0, 67.0], "zoom": 5}
SAHARA = {"bounds": [-5.0, 18.0, 10.0, 27.0], "zoom": 5}
"""Where nobody rides in any test."""
PATAGONIA = {"bounds": [-80.0, -50.0, -60.0, -35.0], "zoom": 5}
WORLD = {"bounds": [-180, -90, 180, 90], "zoom": 1}
FIJI = {"bounds": [165.0, -30.0, -165.0, -5.0], "zoom": 5}


@dataclass(frozen=True)
class Ground:
    """Two nodes and the Redis between them."""

    site: Site
    redis: RedisServer
    one: Node
    two: Node


@pytest.fixture(scope="module")
def ground(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    directory = tmp_path_factory.mktemp("density")
    redis = new_redis(directory / "redis")
    settings = {"THROTTLECOVE_DENSITY_INTERVAL_SECONDS": str(INTERVAL_SECONDS)}
    with (
        databases.migrated() as database_url,
        running(redis),
        site(database_url, redis.url, directory, settings) as shared,
    ):
        pair = asyncio.run(pair_of(shared))
        yield Ground(shared, redis, pair.one, pair.two)


class Viewer:
    """A phone that looks at the map from far away."""

    def __init__(self, device: Phone) -> None:
        self.device = device

    @property
    def events(self) -> list[dict[str, Any]]:
        return [payload for name, payload in self.device.heard if name == "location:density"]

    async def watch(self, box: dict[str, Any]) -> dict[str, Any]:
        """Zoom out to this box; the counts are there before the ack."""
        before = len(self.events)
        ack: dict[str, Any] = await self.device.ask("map:watch", box)
        assert ack == {"resolution": ack["resolution"], "cells": [], "density": True}
        assert len(self.events) > before
        assert self.events[-1]["resolution"] == ack["resolution"]
        return ack

    def shows(self, place: tuple[float, float]) -> int | None:
        """How many riders are shown where this place is."""
        newest = self.events[-1]
        cell = cells.parent(cells.cell_at(*place), newest["resolution"])
        riders: int | None = dict(newest["cells"]).get(cells.name(cell))
        return riders

    async def sees(self, place: tuple[float, float], riders: int | None, *, timeout: float = 30) -> None:
        await eventually(lambda: self.shows(place) == riders or None, timeout=timeout)


@asynccontextmanager
async def viewing(node: Node) -> AsyncIterator[Viewer]:
    async with phone(await register(node.url)) as device:
        yield Viewer(device)


@dataclass
class Rider:
    """A phone that stands at a place, shared with the public."""

    device: Phone
    track: str


@asynccontextmanager
async def standing(place: tuple[float, float], *nodes: Node) -> AsyncIterator[list[Rider]]:
    """One public rider on each of these nodes (a node may be named several times), at the same place."""
    async with AsyncExitStack() as stack:
        accounts = await asyncio.gather(*(register(node.url) for node in nodes))
        riders = []
        for account in accounts:
            device = await stack.enter_async_context(phone(account))
            riders.append(Rider(device, await device.start_track()))
            assert await device.move(riders[-1].track, 0, *place) == {}
        yield riders


async def draw_zone(rider: Rider, place: tuple[float, float]) -> None:
    account = rider.device.account
    body = {"name": "home", "latitude": place[0], "longitude": place[1], "radius_metres": 300}
    async with rest_client(account) as client:
        assert (await client.post("/v1/users/zones", json=body)).status_code == 201


async def test_riders_of_both_nodes_are_counted_once_and_those_who_hide_are_not(ground: Ground) -> None:
    here = (-41.1, -71.3)
    async with (
        standing(here, ground.one, ground.one, ground.two, ground.two, ground.two) as riders,
        viewing(ground.one) as near,
        viewing(ground.two) as far,
    ):
        for viewer in (near, far):
            await viewer.watch(PATAGONIA)
            await viewer.sees(here, 5)
        await draw_zone(riders[0], here)
        await far.sees(here, 4)
        assert await riders[4].device.ask("track:stop", {"track_id": riders[4].track, "last_seq": 0}) == {}
        for viewer in (near, far):
            await viewer.sees(here, 3)
        await near.watch(WORLD)
        await near.sees(here, 3)
        await riders[2].device.share("nobody")
        for viewer in (near, far):
            await viewer.sees(here, None)
            assert viewer.events[-1]["cells"] == []


async def test_a_viewer_zooms_in_and_out_and_looks_away(ground: Ground) -> None:
    here = (45.1, 7.1)
    async with (
        standing(here, ground.one, ground.two, ground.two) as riders,
        viewing(ground.one) as viewer,
        viewing(ground.one) as other,
    ):
        for each in (viewer, other):
            await each.watch(ALPS)
            await each.sees(here, 3)
        ack = await viewer.device.ask("map:watch", around(*here))
        assert (ack["density"], ack["resolution"]) == (False, 7)
        assert ack["cells"]
        rider = riders[0].device.account.rider
        assert viewer.device.sees(rider) == here
        heard = len(viewer.events)
        await riders[2].device.share("nobody")
        await other.sees(here, None)
        await viewer.watch(ALPS)
        assert len(viewer.events) == heard + 1, "nothing came while the viewer was zoomed in"
        await viewer.sees(here, None)
        assert await viewer.device.ask("map:unwatch", {}) == {}
        heard = len(viewer.events)
        await riders[2].device.share("public")
        await other.sees(here, 3)
        assert len(viewer.events) == heard


async def test_the_antimeridian_is_in_the_middle_of_the_map(ground: Ground) -> None:
    west, east = (-17.2, 179.9), (-17.2, -179.9)
    async with (
        standing(west, ground.one, ground.one, ground.two),
        standing(east, ground.one, ground.two, ground.two),
        viewing(ground.two) as viewer,
    ):
        await viewer.watch(FIJI)
        await eventually(lambda: sum(riders for _, riders in viewer.events[-1]["cells"]) == 6)
        assert viewer.shows(west)
        assert viewer.shows(east)
        await viewer.watch(SAHARA)
        assert viewer.events[-1]["cells"] == []
        await viewer.watch(WORLD)
        assert viewer.shows(west)
        assert viewer.shows(east)


async def test_without_redis_the_riders_of_the_same_node_are_shown(ground: Ground) -> None:
    here = (64.1, -21.5)
    async with (
        standing(here, ground.one, ground.one, ground.one, ground.two),
        viewing(ground.one) as viewer,
        viewing(ground.one) as late,
    ):
        await viewer.watch(ICELAND)
        await viewer.sees(here, 4)
        ground.redis.pause()
        try:
            await viewer.sees(here, 3)
            await late.watch({**ICELAND, "zoom": 3.5})
            assert late.shows(here) == 3
        finally:
            ground.redis.resume()
        for each in (viewer, late):
            await each.sees(here, 4)


async def test_the_riders_of_a_killed_node_drop_out(ground: Ground) -> None:
    here = (47.5, 14.5)
    doomed = await ground.site.node("doomed")
    async with standing(here, ground.one, ground.one), viewing(ground.one) as viewer:
        await viewer.watch(ALPS)
        async with standing(here, doomed):
            await viewer.sees(here, 3)
            doomed.kill()
            await viewer.sees(here, None)
