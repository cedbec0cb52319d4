"""Greetings that wait until it is known where the client's streams stand: who connect within a moment wait together.

A client whose streams are known is greeted at once. Without Postgres nobody waits: the streams are left out of the
greeting, and begin when it is back.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from realtime.gateway.client import Client
from realtime.gateway.events.session import StreamHead
from realtime.gateway.streams.cursor import UNPLACED
from realtime.gateway.streams.cursors import Cursors
from realtime.gateway.streams.held import Load
from realtime.gateway.streams.kinds import StreamKinds

Greet: TypeAlias = Callable[[Client, Mapping[str, StreamHead]], None]


class Greetings:
    """Joins clients to the streams that they hear from the start."""

    def __init__(self, cursors: Cursors, kinds: StreamKinds) -> None:
        self._cursors = cursors
        self._kinds = kinds
        self._waiting: dict[Client, Greet] = {}
        self.dark = False
        """Whether Postgres did not say the last time where streams stand: nobody waits for it then."""

    def __len__(self) -> int:
        return len(self._waiting)

    def begin(self, client: Client, greet: Greet) -> None:
        """Join the client's streams, and greet it now or soon; what they bring comes behind the greeting."""
        for name in self._kinds.from_the_start(client.identity):
            self._cursors.join(client, name)
        if self.dark or _is_known(client):
            greet(client, _heads(client))
            return
        self._waiting[client] = greet
        load = Load()
        for hearing in client.hearings:
            hearing.cursor.hold(hearing, load)

    def end(self, client: Client) -> None:
        """The client is gone."""
        self._waiting.pop(client, None)
        self._cursors.leave_all(client)

    def hurry(self, client: Client) -> None:
        """Greet the client now, if it still waits."""
        greet = self._waiting.pop(client, None)
        if greet is None:
            return
        greet(client, _heads(client))
        for hearing in client.hearings:
            self._cursors.go_on(hearing, hearing.start)

    def learnt(self) -> None:
        """More is known than before: greet those whose streams are."""
        self.dark = False
        for client in [client for client in self._waiting if _is_known(client)]:
            self.hurry(client)

    def give_up(self) -> None:
        """Postgres does not answer: greet all who wait, without the streams that are not known."""
        self.dark = True
        for client in list(self._waiting):
            self.hurry(client)


def _is_known(client: Client) -> bool:
    return all(hearing.start != UNPLACED for hearing in client.hearings)


def _heads(client: Client) -> dict[str, StreamHead]:
    return {
        hearing.cursor.name: StreamHead(hearing.cursor.epoch, hearing.start)
        for hearing in client.hearings
        if hearing.start != UNPLACED
    }
