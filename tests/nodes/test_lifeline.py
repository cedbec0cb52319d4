"""A node and its parent know of one another's end."""

import asyncio
import signal
import socket

from server.nodes.lifeline import LISTENS, Lifeline


async def test_a_node_ends_when_its_parent_is_no_more() -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, told.set)
    ours, its = socket.socketpair()
    with ours:
        lifeline = Lifeline(its.detach())
        lifeline.listens()
        assert ours.recv(100) == LISTENS
        await asyncio.sleep(0)
        assert not told.is_set()
    async with asyncio.timeout(10):
        await told.wait()
    loop.remove_signal_handler(signal.SIGTERM)
    assert lifeline.orphaned
