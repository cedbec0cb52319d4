"""Socket.IO's admin UI against the wire: the official JavaScript client speaks its protocol, as the UI does."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import socketio

from realtime.wire import admin
from realtime.wire.admin_endpoint import Auth
from realtime.wire.options import WireOptions
from realtime.wire.server import Wire
from server.stack import RedisServer
from tests.e2e.test_javascript_client import Browser, browser
from tests.realtime.serving import Recorder, Serving, serving
from tests.realtime.wire.test_api import phones, two_nodes
from tests.support.waiting import eventually

pytestmark = pytest.mark.usefixtures("faultless")

LOGIN = {"username": "admin", "password": "over the hills"}
ACTIONS = {"EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT"}
SECRET = "nobody-shall-see-this"


@asynccontextmanager
async def looked_into(**options: Any) -> AsyncIterator[Serving]:
    """A wire with an endpoint at `/` and handlers at `/chat`, and the UI's namespace."""

    async def hear(_sid: str, _body: object) -> None:
        """Whatever it is."""

    def prepare(wire: Wire) -> None:
        wire.on("connect", lambda _sid, _environ: None, namespace="/chat")
        wire.on("secret", hear, namespace="/chat")
        wire.instrument(**{"auth": LOGIN, "server_stats_interval": 0.05, "server_id": "here", **options})

    async with serving(Recorder(), WireOptions(), prepare=prepare) as up:
        yield up


def come_in(javascript: Browser, up: Serving, auth: dict[str, str], name: str = "admin") -> None:
    options = {"auth": auth, "transports": ["websocket"]}
    javascript.tell(do="open", name=name, url=f"{up.url}/admin", options=options)


async def test_an_admin_sees_who_is_here_and_moves_them() -> None:
    async with looked_into() as up, browser() as javascript, up.signed_in({"token": SECRET}) as rider:
        headers, chat = {"Authorization": SECRET, "User-Agent": "tester"}, f"{up.url}?token={SECRET}"
        client = socketio.AsyncClient(reconnection=False)
        heard: list[tuple[str, ...]] = []
        client.on("news", lambda *values: heard.append(values), namespace="/chat")
        come_in(javascript, up, LOGIN)
        ((config,),) = await javascript.hears("config", name="admin")
        assert set(config["supportedFeatures"]) == {"AGGREGATED_EVENTS", "ALL_EVENTS", *ACTIONS}
        ((here,),) = await javascript.hears("all_sockets", name="admin")
        (one,) = [socket for socket in here if socket["nsp"] == "/"]
        assert (one["transport"], one["rooms"]) == ("websocket", [one["id"]])

        await client.connect(chat, headers=headers, auth={"token": SECRET}, namespaces=["/chat"])
        await rider.emit("secret", {"place": SECRET})
        await client.emit("secret", {"place": SECRET}, namespace="/chat")
        sid = client.get_sid("/chat")
        ((came, _at),) = await javascript.hears("socket_connected", name="admin")
        assert (came["id"], came["nsp"], came["handshake"]["headers"]["user-agent"]) == (sid, "/chat", "tester")
        assert came["handshake"]["query"].keys() == {"EIO", "transport"}

        def act(event: str, *values: object) -> None:
            javascript.tell(do="send", name="admin", event=event, args=values)

        act("join", "/chat", "pub", sid)
        assert (await javascript.hears("room_joined", name="admin"))[0][:3] == ["/chat", "pub", sid]
        act("emit", "/chat", "pub", "news", "good", 2)
        await eventually(lambda: heard == [("good", 2)])
        act("leave", "/chat", "pub", None)
        assert (await javascript.hears("room_left", name="admin"))[0][:3] == ["/chat", "pub", sid]
        act("emit", "/", one["id"], "news", "for one")
        assert await rider.event("news") == "for one"
        act("_disconnect", "/", True, one["id"])
        assert (await rider.event("error"))["code"] == "dismissed"
        act("_disconnect", "/chat", False, sid)
        gone = await javascript.hears("socket_disconnected", times=2, name="admin")
        assert [(namespace, who) for namespace, who, _, _ in gone] == [("/", one["id"]), ("/chat", sid)]
        await client.disconnect()
        assert SECRET not in str(javascript.reports)


async def test_the_sums_are_right_and_a_session_cannot_be_taken_from_them() -> None:
    async with looked_into() as up, browser() as javascript, up.signed_in() as rider:
        come_in(javascript, up, LOGIN)
        await rider.emit("ride", {}, ack_id=1)

        def counted() -> dict[str, int]:
            sums: dict[str, int] = {}
            for (stats,) in javascript.heard("server_stats", "admin"):
                for event in stats["aggregatedEvents"]:
                    sums[event["type"]] = sums.get(event["type"], 0) + event["count"]
            return sums

        javascript.tell(do="open", name="mover", url=f"{up.url}/chat", options={})
        ((updated,),) = await javascript.hears("socket_updated", name="admin")
        assert (updated["nsp"], updated["transport"]) == ("/chat", "websocket")
        javascript.tell(do="close", name="mover")
        await javascript.hears("socket_disconnected", name="admin")
        types = {"rawConnection", "packetsIn", "bytesIn", "packetsOut", "bytesOut"}
        await eventually(lambda: types <= counted().keys())
        await eventually(lambda: javascript.heard("server_stats", "admin")[-1][0]["clientsCount"] == 2)
        stats = javascript.heard("server_stats", "admin")[-1][0]
        assert (stats["serverId"], stats["pollingClientsCount"]) == ("here", 0)
        assert stats["namespaces"] == [{"name": "/", "socketsCount": 1}, {"name": "/admin", "socketsCount": 1}]
        assert rider.opening["sid"] not in str(javascript.reports)


async def test_who_does_not_know_the_password_is_asked_again() -> None:
    async with looked_into() as up, browser() as javascript:
        wrong = [{**LOGIN, "password": "up the hills"}, {**LOGIN, "more": ""}, {"sessionId": "guessed"}]
        for number, auth in enumerate(wrong):
            come_in(javascript, up, auth, name=str(number))
        for number in range(len(wrong)):
            assert await javascript.hears("connect_error", name=str(number)) == [["invalid credentials", None]]


async def judged_later(auth: Any) -> bool:
    return bool(auth == LOGIN)


@pytest.mark.parametrize("auth", [[{"username": "other"}, LOGIN], lambda auth: auth == LOGIN, judged_later])
async def test_in_production_there_are_sums_and_nothing_else(auth: Auth) -> None:
    async with looked_into(auth=auth, mode="production", read_only=True) as up, up.signed_in() as rider:
        client = socketio.AsyncClient(reconnection=False)
        heard: list[tuple[str, Any]] = []
        client.on("*", lambda event, *values: heard.append((event, values)), namespace="/admin")
        await client.connect(up.url, auth=LOGIN, namespaces=["/admin"], transports=["websocket"])
        for action in (("emit", ("/", None, "news")), ("_disconnect", ("/", True)), ("join", ("/", "pub"))):
            await client.emit(*action, namespace="/admin")
        await eventually(lambda: [event for event, _ in heard].count("server_stats") > 2)
        assert heard[0] == ("config", ({"supportedFeatures": ["AGGREGATED_EVENTS"]},))
        assert {event for event, _ in heard} == {"config", "server_stats"}
        await rider.emit("ride", {"still": "here"}, ack_id=1)
        assert await rider.ack(1) == {"still": "here"}
        await client.disconnect()


async def test_an_admin_sees_and_moves_clients_of_other_nodes(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admin, "_AGAIN_SECONDS", 0.1)

    def prepare(wire: Wire) -> None:
        wire.instrument(auth=False, server_id=wire.options.node_name, server_stats_interval=0.1)

    async with two_nodes(own_redis.url, prepare) as (one, two), phones(two) as (far,), browser() as javascript:
        come_in(javascript, one, {})
        await eventually(
            lambda: {stats["serverId"] for (stats,) in javascript.heard("server_stats", "admin")} == {"one", "two"}
        )
        await eventually(lambda: far.sid in {came["id"] for came, _ in javascript.heard("socket_connected", "admin")})
        javascript.tell(do="send", name="admin", event="join", args=["/chat", "pub", far.sid])
        await eventually(lambda: two.wire.rooms(far.sid, "/chat") == [far.sid, "pub"])
        javascript.tell(do="send", name="admin", event="emit", args=["/chat", "pub", "news", 1])
        await eventually(lambda: ("news", 1) in far.heard)
        javascript.tell(do="send", name="admin", event="_disconnect", args=["/chat", False, far.sid])
        await eventually(lambda: not far.client.connected)


async def test_nobody_is_let_in_by_mistake() -> None:
    wire = Wire(WireOptions())
    for options in ({}, {"auth": None}, {"auth": True}, {"auth": False, "mode": "debug"}):
        with pytest.raises(ValueError, match=r"auth must be specified|mode is"):
            wire.instrument(**options)
