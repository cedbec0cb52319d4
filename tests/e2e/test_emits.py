"""What a process without sockets says reaches signed-in clients on all nodes."""

from realtime.bus.connections import BusOptions
from realtime.bus.emitter import RoomEmitter
from tests.e2e.phones import phone, register
from tests.e2e.processes import Pair
from tests.support import eventually


async def test_everybody_hears_it_or_one_client_alone(pair: Pair) -> None:
    emitter = RoomEmitter(BusOptions(pair.site.redis_url))
    try:
        accounts = [await register(node.url) for node in (pair.one, pair.two)]
        async with phone(accounts[0]) as here, phone(accounts[1]) as there:

            async def both_have_heard() -> bool:
                await emitter.emit("notice", {"text": "back in five minutes"}, to=None)
                return all(("notice", {"text": "back in five minutes"}) in one.heard for one in (here, there))

            await eventually(both_have_heard)  # a node hears of everybody soon after its first client has come
            sid = there.client.get_sid()

            async def one_has_heard() -> bool:
                await emitter.emit("notice", {"text": "for you"}, to=[sid])
                return ("notice", {"text": "for you"}) in there.heard

            await eventually(one_has_heard)
            assert ("notice", {"text": "for you"}) not in here.heard
    finally:
        await emitter.aclose()
