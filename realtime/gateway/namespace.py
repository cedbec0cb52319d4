"""Signed-in clients in the rooms of their namespace, so that an emit to everybody, or to one of them, reaches them.

They are in no room but that: what is for some of them goes by topics and by durable streams.
"""

from collections.abc import Callable

from realtime.gateway.client import Client
from realtime.wire.rooms import Rooms


class InNamespace:
    """A hook of the gateway: a client is there from its greeting on, until it is gone."""

    def __init__(self, rooms: Callable[[], Rooms]) -> None:
        self._rooms = rooms

    def on_connect(self, client: Client) -> None:
        """It was greeted."""
        self._rooms().add(client.socket)

    def on_disconnect(self, client: Client) -> None:
        """It is gone."""
        self._rooms().remove(client.id)
