"""Emits to rooms from a process that holds no sockets: a worker, a command, a script. Implements `EmitPort`.

    emitter = RoomEmitter(BusOptions("redis://127.0.0.1:6379/0"))
    await emitter.emit("notice", {"text": "back in five minutes"}, to=None)
    await emitter.aclose()

What it says goes the way of every other emit: a message on the channel of each room, heard by the nodes that have a
member of it, encoded here and only framed there. Emits that are made one after another are heard in that order. With
sentinels, a process that lives on runs `RoomEmitter.run` beside its emits.
"""

import itertools
import secrets
from collections.abc import Sequence

from domain.kit.clock import SystemClock
from domain.kit.redis_master_watch import MasterWatch
from realtime.bus.connections import BusOptions, RedisLink, create_maker
from realtime.bus.room_messages import Emitted, channels, encode
from realtime.wire.emitting import Audience
from realtime.wire.packets import encode_event


class RoomEmitter:
    """Keeps one connection for each master of Redis, opened with the first emit."""

    def __init__(self, options: BusOptions) -> None:
        self._options = options
        self._link = RedisLink(options, name="emitter")
        self._sender = f"#{secrets.token_hex(8)}"
        self._numbers = itertools.count()

    async def emit(
        self,
        event: str,
        *arguments: object,
        to: Sequence[str] | None,
        but: Sequence[str] = (),
        namespace: str = "/",
        volatile: bool = False,
    ) -> int:
        """See `EmitPort`; with `volatile`, clients that are behind miss it."""
        audience = Audience(namespace, to, but)
        message = encode(
            Emitted(
                self._sender,
                next(self._numbers),
                namespace,
                None if to is None else tuple(to),
                tuple(but),
                volatile,
                encode_event(event, *arguments, namespace=namespace).carried(),
            )
        )
        return sum(await self._link.batch([("SPUBLISH", channel, message) for channel in channels(audience, "")]))

    async def run(self) -> None:
        """Leave a master that sentinels have replaced as soon as they say so, until cancelled.

        Without this, one that was replaced on demand is spoken to until it is told, some ten seconds later, and nobody
        hears what it takes. Ends at once where the address names no sentinels.
        """
        await MasterWatch(create_maker(self._options, name="emitter-watch"), SystemClock()).run()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._link.aclose()
