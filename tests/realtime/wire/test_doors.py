"""How many come in, from where, and with which Origin."""

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from realtime.wire.doors import Doors
from realtime.wire.options import WireOptions
from tests.realtime.serving import Recorder, serving
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")


async def test_one_address_has_so_many_connections_and_no_more() -> None:
    endpoint = Recorder()
    async with serving(endpoint, WireOptions(sockets_per_address=2)) as up, httpx.AsyncClient() as http:
        async with up.signed_in(), up.raw():
            with pytest.raises(InvalidStatus) as refused:
                async with connect(up.websocket_url, proxy=None):
                    pass
            assert refused.value.response.status_code == 429
            assert refused.value.response.headers["Retry-After"] == "5"
            assert (await http.get(up.polling_url())).status_code == 429
        await eventually(lambda: up.wire.connections == 0)
        async with up.signed_in():
            assert up.wire.connections == 1


async def test_those_who_have_not_said_who_they_are_are_bounded() -> None:
    options = WireOptions(sockets_unauthenticated=1)
    async with serving(Recorder(), options) as up, httpx.AsyncClient() as http, up.raw() as client:
        assert (await http.get(up.polling_url())).status_code == 503
        await client.sign_in()
        async with up.raw():
            assert (await http.get(up.polling_url())).status_code == 503
        await eventually(lambda: up.wire.connections == 1)
        await client.send("41")
        assert (await http.get(up.polling_url())).status_code == 503


async def test_a_full_node_sends_everybody_away() -> None:
    async with serving(Recorder(), WireOptions(sockets=1)) as up, up.raw(), httpx.AsyncClient() as http:
        assert (await http.get(up.polling_url())).status_code == 503


def test_an_ipv6_network_is_one_address() -> None:
    doors = Doors(WireOptions(sockets_per_address=2))
    doors.enter("2001:db8::1")
    doors.enter("2001:db8::2")
    assert doors.refusal("2001:db8::3") == (429, "address")
    assert doors.refusal("2001:db8:0:1::3") is None
    doors.leave("2001:db8::1", authenticated=False)
    assert doors.refusal("2001:db8::3") is None
    doors.enter("192.0.2.1")
    doors.enter("::ffff:192.0.2.1")
    assert doors.refusal("192.0.2.1") == (429, "address")


@pytest.mark.parametrize(
    ("allowed", "origin", "status"),
    [
        (None, "https://evil.example", 403),
        (None, "null", 403),
        (["https://map.example"], "https://evil.example", 403),
        (["https://map.example"], "https://map.example", 200),
        (["*"], "https://any.example", 200),
        (["https://map.example"], None, 200),
    ],
)
async def test_browsers_come_from_allowed_origins(allowed: list[str] | None, origin: str | None, status: int) -> None:
    headers = {"Origin": origin} if origin else {}
    async with serving(Recorder(), WireOptions(allowed_origins=allowed)) as up, httpx.AsyncClient() as http:
        answer = await http.get(up.polling_url(), headers=headers)
        assert answer.status_code == status
        if status == 200 and origin:
            assert answer.headers["Access-Control-Allow-Origin"] == origin
        if status == 200:
            async with up.raw(additional_headers=headers) as client:
                await client.sign_in()
        else:
            with pytest.raises(InvalidStatus):
                async with connect(up.websocket_url, proxy=None, additional_headers=headers):
                    pass


async def test_this_servers_own_origin_is_allowed() -> None:
    async with serving(Recorder()) as up, httpx.AsyncClient() as http:
        assert (await http.get(up.polling_url(), headers={"Origin": up.url})).status_code == 200


async def test_who_is_not_let_in_is_counted_by_reason() -> None:
    options = WireOptions(sockets=2, sockets_per_address=1)
    async with serving(Recorder(), options) as up, up.signed_in(), httpx.AsyncClient() as http:
        assert (await http.get(up.polling_url())).status_code == 429
        up.wire.engine.doors.shut = True
        assert (await http.get(up.polling_url())).status_code == 503
        assert up.wire.engine.doors.refused == {"address": 1, "stopping": 1}
