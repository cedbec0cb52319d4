"""Watching: a box of the map, riders one may follow, and who the numbers in the frames are.

Who may hear a topic is decided here, each time: anybody who is signed in hears the public cells, a rider's own topic is
heard by accepted followers (until relationships exist: by the rider's own devices). In a box that is too large to see
single riders in, anybody who is signed in sees counts.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from domain.kit.errors import Forbidden, Invalid, Problem
from domain.location.rules import rider_channel
from domain.location.service import RiderDirectory
from geo import cells
from geo.overview import Overview, overview
from geo.viewport import Bounds, BoundsError, cover
from realtime.gateway.client import Client
from realtime.gateway.contracts import handles
from realtime.gateway.events.location import (
    MAP_UNWATCH,
    MAP_WATCH,
    RIDERS_INFO,
    RIDERS_UNWATCH,
    RIDERS_WATCH,
    MapUnwatch,
    MapWatch,
    MapWatched,
    RiderInfo,
    RidersInfo,
    RidersKnown,
    RidersUnwatch,
    RidersWatch,
)
from realtime.gateway.events.session import WatchAgain, WatchedAgain
from realtime.handlers.location.density import Density
from realtime.hub.hub import Hub
from realtime.hub.topics import cell_topic

_NOTHING: Final = frozenset[str]()


class Watching:
    """The topics that one socket hears, by why it hears them."""

    __slots__ = ("cells", "riders")

    def __init__(self) -> None:
        self.cells = _NOTHING
        self.riders = _NOTHING

    @classmethod
    def of(cls, client: Client) -> "Watching":
        """Those of a client; most never watch anything."""
        watching = client.get(cls)
        if watching is None:
            watching = cls()
            client.attach(watching)
        return watching


class WatchHandlers:
    """Handlers of `map:*` and `riders:*`."""

    def __init__(self, hub: Hub, density: Density, directory: RiderDirectory, *, most_cells: int) -> None:
        self._hub = hub
        self._density = density
        self._directory = directory
        self._most_cells = most_cells

    def on_connect(self, client: Client) -> None:
        """A socket that hears nothing yet."""

    def on_disconnect(self, client: Client) -> None:
        """The socket has gone."""
        self._hub.drop(client)
        self._density.drop(client)

    @handles(MAP_WATCH)
    async def watch_map(self, client: Client, payload: MapWatch) -> MapWatched:
        """See the public riders in a box, or how many there are; a snapshot comes first. Replaces the box before."""
        bounds = _bounds(payload.bounds)
        covered = cover(bounds, payload.zoom, self._most_cells)
        if covered is None:
            return await self._watch_counts(client, overview(bounds, payload.zoom))
        self._density.drop(client)
        topics = frozenset(cell_topic(cell) for cell in covered.cells)
        watching = Watching.of(client)
        await self._hub.listen(client, topics - watching.cells)
        if client.closed:
            self._hub.drop(client)
        self._hub.unlisten(client, watching.cells - topics)
        watching.cells = topics
        return MapWatched(covered.resolution, sorted(map(cells.name, covered.cells)), density=False)

    async def _watch_counts(self, client: Client, chosen: Overview) -> MapWatched:
        await self._density.listen(client, chosen)
        if client.closed:
            self._density.drop(client)
        watching = Watching.of(client)
        self._hub.unlisten(client, watching.cells)
        watching.cells = _NOTHING
        return MapWatched(chosen.resolution, [], density=True)

    @handles(MAP_UNWATCH)
    def unwatch_map(self, client: Client, _payload: MapUnwatch) -> None:
        """See the map no more."""
        self._density.drop(client)
        watching = Watching.of(client)
        self._hub.unlisten(client, watching.cells)
        watching.cells = _NOTHING

    @handles(RIDERS_WATCH)
    async def watch_riders(self, client: Client, payload: RidersWatch) -> None:
        """Follow riders wherever they are."""
        topics = _topics_of(client, payload.user_ids)
        watching = Watching.of(client)
        await self._hub.listen(client, topics - watching.riders)
        if client.closed:
            self._hub.drop(client)
        watching.riders |= topics

    @handles(RIDERS_UNWATCH)
    def unwatch_riders(self, client: Client, payload: RidersUnwatch) -> None:
        """Follow these riders no more."""
        topics = _topics_of(client, payload.user_ids)
        watching = Watching.of(client)
        self._hub.unlisten(client, topics & watching.riders)
        watching.riders -= topics

    async def watch_again(self, client: Client, wanted: WatchAgain) -> WatchedAgain:
        """What `map:watch` and `riders:watch` do, for `session:resume`."""
        if wanted.riders is not None:
            with _at("watch.riders"):
                await self.watch_riders(client, wanted.riders)
        with _at("watch.map"):
            return WatchedAgain(await self.watch_map(client, wanted.map) if wanted.map is not None else None)

    @handles(RIDERS_INFO)
    async def name_riders(self, client: Client, payload: RidersInfo) -> RidersKnown:
        """Who the riders are that this socket can see."""
        seen = [rider for rider in payload.riders if self._hub.sees(client, rider)]
        people = await self._directory.people(seen) if seen else []
        return RidersKnown([RiderInfo(person.rider, person.user_id, person.name) for person in people])


@contextmanager
def _at(place: str) -> Iterator[None]:
    """A refusal in here names its field from the whole payload's beginning."""
    try:
        yield
    except Problem as problem:
        if problem.field is not None:
            problem.field = f"{place}.{problem.field}"
        raise


def _topics_of(client: Client, user_ids: Collection[UUID]) -> frozenset[str]:
    if any(user_id != client.identity.user_id for user_id in user_ids):
        raise Forbidden("only riders who accepted you as a follower can be watched", field="user_ids")
    return frozenset((rider_channel(client.identity.rider),)) if user_ids else frozenset()


def _bounds(box: tuple[float, float, float, float]) -> Bounds:
    bounds = Bounds(*box)
    try:
        bounds.check()
    except BoundsError as error:
        raise Invalid(str(error), field="bounds") from error
    return bounds
