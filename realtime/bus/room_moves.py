"""What one node has another one do with its clients: put them into rooms, take them out, end them.

Promises: a move of one client returns with what came of it, or with Unavailable within the timeout (it may have been
made all the same); a room is closed on every node that heard of it, and nobody answers for that.
"""

import asyncio
import itertools

from domain.kit.errors import Unavailable
from domain.kit.tasks import TaskOwner
from realtime.bus.connections import RETRY_AFTER_MS
from realtime.bus.room_messages import Asked, Done, encode, node_channel, room_channel, sender_channel
from realtime.bus.room_speech import Speech
from realtime.wire.emitting import Fault, Move, Moving, ThisNode
from realtime.wire.rooms import node_of

MOST_AT_ONCE = 1_000
"""Moves that others have asked for and that are being made; more are not answered."""


class Moves:
    """The moves that this node asks for, and those that it makes for others."""

    def __init__(self, speech: Speech, sender: str, *, timeout_seconds: float) -> None:
        """`sender`: the name by which this process is answered."""
        self._speech = speech
        self._sender = sender
        self._timeout_seconds = timeout_seconds
        self._numbers = itertools.count()
        self._asked: dict[int, asyncio.Future[Fault | None]] = {}
        self._made = TaskOwner("moves")

    async def ask(self, move: Move) -> Fault | None:
        """Have it made, on the client's node or by all that hear the room. Raises Unavailable."""
        number = next(self._numbers)
        message = encode(Asked(self._sender, number, move))
        if move.kind is Moving.CLOSE:
            await self._speech.say((room_channel(move.namespace, move.room),), message)
            return None
        node = node_of(move.sid)
        if node is None:
            return Fault.NOT_HERE
        answer: asyncio.Future[Fault | None] = asyncio.get_running_loop().create_future()
        self._asked[number] = answer
        try:
            if not await self._speech.say((node_channel(node),), message):
                return Fault.NOT_HERE
            async with asyncio.timeout(self._timeout_seconds):
                return await answer
        except TimeoutError as error:
            raise Unavailable("the client's node did not answer", retry_after_ms=RETRY_AFTER_MS) from error
        finally:
            del self._asked[number]

    def done(self, message: Done) -> None:
        """Another node has made a move of ours."""
        answer = self._asked.get(message.number)
        if answer is not None and not answer.done():
            answer.set_result(message.fault)

    def make(self, message: Asked, here: ThisNode) -> None:
        """Make a move that another node asks for, and say what came of it."""
        if message.sender != self._sender and len(self._made) < MOST_AT_ONCE:
            self._made.start(self._make(message, here), "move")

    async def _make(self, message: Asked, here: ThisNode) -> None:
        fault = await here.move_here(message.move)
        if message.move.kind is Moving.CLOSE:
            return
        try:
            await self._speech.say((sender_channel(message.sender),), encode(Done(message.number, fault)))
        except Unavailable:
            return  # who asked gives up by itself

    async def aclose(self) -> None:
        """Make no more."""
        await self._made.close()
