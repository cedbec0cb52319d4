"""Batches of commands on their way to Redis, whatever stands behind its address, and their answers.

Promises: the commands of a batch go to each server in their order, together; what a server refused before executing it
(it has moved, a script is not known there) is sent again to the right place, and nothing else is. Time limits are the
caller's, who cancels.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from redis.exceptions import AskError, ClusterDownError, MovedError, NoScriptError, TryAgainError

from domain.kit.redis_cluster_map import ClusterMap
from domain.kit.redis_connections import REDIS_FAILURES, Maker, Place
from domain.kit.redis_pipe import OnEnd
from domain.kit.redis_slots import Command, Unit, units_of
from domain.kit.redis_urls import Address, Topology

_MOST_ROUNDS = 5
"""How often what was refused is sent again."""
_ASKING: Command = ("ASKING",)

Post: TypeAlias = Callable[[bytes, int, OnEnd, int], bool]

Scripts = Mapping[str, str]
"""Lua texts that are loaded where a server does not know them, by their SHA-1."""


class Sender(Protocol):
    """Sends batches."""

    def begin(self, commands: Sequence[Command]) -> "asyncio.Future[list[Any]] | None":
        """Send now, if it is known where to and no script is among them; the future is as what `send` returns.

        None when that cannot be. Raises ConnectionLost.
        """
        ...

    def poster(self) -> Post:
        """What sends packed commands now, if `begin` could, for whoever does not wait for their answers.

        These are then read with others. It takes the commands, their number, an `OnEnd` and its note, and returns
        False, and nothing has happened, when that cannot be.
        """
        ...

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """The answers, errors of Redis among them as values. Raises what redis-py raises when one is not known."""
        ...

    async def everywhere(self, command: Command) -> dict[str, Any]:
        """Each master's answer, by its name, or the error instead; empty when no master is known."""
        ...

    async def aclose(self) -> None:
        """Close the connections; calls under way fail."""
        ...


def open_sender(maker: Maker, scripts: Scripts, deadline_seconds: float) -> Sender:
    """A sender for what the maker's address names, in which each call ends by the deadline. Opens no connection yet."""
    kind = ClusterSender if maker.url.topology is Topology.CLUSTER else OneSender
    return kind(maker, scripts, deadline_seconds)


class OneSender:
    """To one Redis, or to the master that sentinels name."""

    def __init__(self, maker: Maker, scripts: Scripts, deadline_seconds: float) -> None:
        self._place = Place(maker.make, deadline_seconds)
        self._scripts = scripts
        self._deadline_seconds = deadline_seconds

    def begin(self, commands: Sequence[Command]) -> "asyncio.Future[list[Any]] | None":
        """See `Sender`."""
        return None if self._scripts else self._place.begin(commands)

    def poster(self) -> Post:
        """See `Sender`."""
        return _never if self._scripts else self._place.post

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """See `Sender`."""
        begun = self._place.begin(commands)
        answers = await (self._place.exchange(commands) if begun is None else begun)
        if self._scripts and any(type(answer) is NoScriptError for answer in answers):
            async with asyncio.timeout(self._deadline_seconds):
                await self._send_refused(commands, answers)
        return answers

    async def _send_refused(self, commands: Sequence[Command], answers: list[Any]) -> None:
        """Load the scripts; send again what wants them, with what stands behind it: a WAIT asks about that write."""
        refused = [unit for unit in units_of(commands) if type(answers[unit.first]) is NoScriptError]
        await load(self._place, self._scripts)
        again = [command for unit in refused for command in unit.commands]
        _distribute(await self._place.exchange(again), refused, answers)

    async def everywhere(self, command: Command) -> dict[str, Any]:
        """See `Sender`."""
        return {"redis": await _answer_or_error(self._place, command)}

    async def aclose(self) -> None:
        """See `Sender`."""
        self._place.close()
        await asyncio.sleep(0)  # the loop's turn to let go of the socket


class ClusterSender:
    """To a cluster: each command to the master of its key's slot, those of one master together."""

    def __init__(self, maker: Maker, scripts: Scripts, deadline_seconds: float) -> None:
        self._maker = maker
        self._scripts = scripts
        self._deadline_seconds = deadline_seconds
        self._map = ClusterMap(maker.url.addresses, maker.make_probe)
        self._places: dict[Address, Place] = {}

    def begin(self, commands: Sequence[Command]) -> "asyncio.Future[list[Any]] | None":
        """See `Sender`: here something may have moved."""
        return None

    def poster(self) -> Post:
        """See `begin`."""
        return _never

    async def send(self, commands: Sequence[Command]) -> list[Any]:
        """See `Sender`."""
        async with asyncio.timeout(self._deadline_seconds):
            return await self._send_and_follow(commands)

    async def _send_and_follow(self, commands: Sequence[Command]) -> list[Any]:
        answers: list[Any] = [None] * len(commands)
        pending = list(units_of(commands))
        for _ in range(_MOST_ROUNDS):
            if self._map.doubted:
                await self._refresh(self._map.version)
            await self._send_units(pending, answers)
            pending = await self._refused(pending, answers)
            if not pending:
                break
        return answers

    async def everywhere(self, command: Command) -> dict[str, Any]:
        """See `Sender`."""
        try:
            await self._refresh(None)
        except ClusterDownError:
            return {}
        masters = sorted(self._map.masters)
        answers = await asyncio.gather(*(_answer_or_error(self._to(master), command) for master in masters))
        return {f"{host}:{port}": answer for (host, port), answer in zip(masters, answers, strict=True)}

    async def aclose(self) -> None:
        """See `Sender`."""
        for place in self._places.values():
            place.close()
        await asyncio.sleep(0)

    def _to(self, address: Address) -> Place:
        place = self._places.get(address)
        if place is None:
            place = self._places[address] = Place(lambda: self._maker.make(address), self._deadline_seconds)
        return place

    async def _send_units(self, units: Sequence[Unit], answers: list[Any]) -> None:
        """Send each unit to its master and put down the answers; all have ended when this raises."""
        groups: dict[Address, list[Unit]] = defaultdict(list)
        for unit in units:
            groups[unit.asking or self._map.owner(unit.slot)].append(unit)
        try:
            exchanges = await self._begin_all(groups)
            ends = [await exchanges[0]] if len(exchanges) == 1 else await _all_of(exchanges)
        except BaseException:
            self._map.doubted = True
            raise
        for group, end in zip(groups.values(), ends, strict=True):
            _distribute(end, group, answers)

    async def _begin_all(self, groups: Mapping[Address, Sequence[Unit]]) -> list[Awaitable[list[Any]]]:
        """Begin each at once; when one cannot, those before it are waited for."""
        exchanges: list[Awaitable[list[Any]]] = []
        try:
            for address, units in groups.items():
                exchanges.append(self._begin(address, units))
        except REDIS_FAILURES:
            await asyncio.gather(*exchanges, return_exceptions=True)
            raise
        return exchanges

    def _begin(self, address: Address, units: Sequence[Unit]) -> Awaitable[list[Any]]:
        commands: list[Command] = []
        for unit in units:
            commands += [_ASKING, *unit.commands] if unit.asking else unit.commands
        place = self._to(address)
        return place.begin(commands) or place.exchange(commands)

    async def _refused(self, units: Sequence[Unit], answers: Sequence[Any]) -> list[Unit]:
        """Those that no server has executed and another will, once this has found out which."""
        moved: list[Unit] = []
        elsewhere: list[Unit] = []
        strangers: dict[Address, list[Unit]] = defaultdict(list)
        for unit in units:
            answer = answers[unit.first]
            if type(answer) is MovedError:
                moved.append(unit)
            elif type(answer) is AskError:
                unit.asking = _named(answer, self._map.owner(unit.slot))
                elsewhere.append(unit)
            elif type(answer) is NoScriptError and self._scripts:
                strangers[unit.asking or self._map.owner(unit.slot)].append(unit)
            elif isinstance(answer, ClusterDownError | TryAgainError):
                self._map.doubted = True
        for address in strangers:
            await load(self._to(address), self._scripts)
        if moved:
            await self._follow(moved, answers)
        return [*moved, *elsewhere, *(unit for group in strangers.values() for unit in group)]

    async def _follow(self, moved: Sequence[Unit], answers: Sequence[Any]) -> None:
        """Have a new map, in which what the refusing masters said holds, whoever drew it."""
        named = {unit.slot: _named(answers[unit.first], self._map.owner(unit.slot)) for unit in moved}
        await self._refresh(self._map.version)
        for unit in moved:
            unit.asking = None
        for slot, owner in named.items():
            self._map.moved(slot, owner)

    async def _refresh(self, seen: int | None) -> None:
        await self._map.refresh(seen)
        for address in self._places.keys() - self._map.masters:
            self._places.pop(address).close()


def _never(_commands: bytes, _count: int, _on_end: OnEnd, _note: int) -> bool:
    return False


def _named(error: AskError, sender: Address) -> Address:
    """The node that a redirection names; without a host it is on the machine of the one that sent it."""
    return error.host or sender[0], error.port


async def _all_of(exchanges: Sequence[Awaitable[list[Any]]]) -> list[list[Any]]:
    """What comes of each; when one fails, the others are waited for, and then it is raised."""
    ends = await asyncio.gather(*exchanges, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
    return ends  # type: ignore[return-value]


def _distribute(given: Sequence[Any], units: Sequence[Unit], answers: list[Any]) -> None:
    """Put down the answers of one server at the places of their commands; that to ASKING tells nothing."""
    rest = iter(given)
    for unit in units:
        if unit.asking:
            next(rest)
        for place in range(unit.first, unit.first + len(unit.commands)):
            answers[place] = next(rest)


async def load(place: Place, scripts: Scripts) -> None:
    """Make the scripts known to one server."""
    await place.exchange([("SCRIPT", "LOAD", text) for text in scripts.values()])


async def _answer_or_error(place: Place, command: Command) -> Any:
    try:
        (answer,) = await place.exchange([command])
    except REDIS_FAILURES as error:
        return error
    return answer
