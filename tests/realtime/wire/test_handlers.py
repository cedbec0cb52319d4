"""python-socketio's handlers over real sockets: who is let in, what is answered, in which order, what faults cost."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import socketio
import structlog
from socketio.exceptions import ConnectionRefusedError as LibraryRefusal

from realtime.wire import faults, turns
from realtime.wire.server import Wire
from tests.realtime.serving import RawClient, Serving, serving
from tests.support.waiting import eventually


@pytest.fixture
async def up() -> AsyncIterator[Serving]:
    async with serving(None) as served:
        yield served


@pytest.fixture
def wire(up: Serving) -> Wire:
    return up.wire


async def connect(client: RawClient, namespace: str = "/", auth: object = None) -> Any:
    """The answer to a CONNECT, whichever it is."""
    prefix = "" if namespace == "/" else namespace + ","
    await client.send(f"40{prefix}" + ("" if auth is None else json.dumps(auth)))
    frame = await client.frame()
    assert frame[:2] in ("40", "44") and frame[2:].startswith(prefix), frame
    return json.loads(frame[2 + len(prefix) :])


class TestConnect:
    async def test_the_handler_has_the_request_and_the_auth(self, up: Serving, wire: Wire) -> None:
        seen: list[Any] = []

        @wire.on("connect")
        async def on_connect(sid: str, environ: dict[str, Any], auth: object) -> None:
            seen.append((sid, environ["REMOTE_ADDR"], environ["QUERY_STRING"], environ["HTTP_X_APP"], auth))
            assert wire.get_environ(sid) == environ
            assert wire.transport(sid) == "websocket"

        async with up.raw(additional_headers={"X-App": "rider"}) as client:
            sid = (await connect(client, auth={"token": "t"}))["sid"]
        assert seen == [(sid, "127.0.0.1", "EIO=4&transport=websocket", "rider", {"token": "t"})]

    @pytest.mark.parametrize(
        ("error", "told"),
        [
            (None, {"message": "Connection rejected by server"}),
            (LibraryRefusal(), {"message": "Connection rejected by server"}),
            (LibraryRefusal("no"), {"message": "no"}),
            (LibraryRefusal("no", {"why": 1}), {"message": "no", "data": {"why": 1}}),
            (LibraryRefusal("no", 1, 2), {"message": "no", "data": [1, 2]}),
            (ConnectionRefusedError(), {"message": "Connection refused by server"}),
        ],
    )
    @pytest.mark.parametrize("plain", [True, False])
    async def test_refusals(self, up: Serving, wire: Wire, error: Exception | None, told: Any, plain: bool) -> None:
        def refuse(sid: str, environ: object) -> bool:
            if error is not None:
                raise error
            return False

        async def refuse_later(sid: str, environ: object, auth: object) -> bool:
            return refuse(sid, environ)

        wire.on("connect", refuse if plain else refuse_later, namespace="/chat")
        async with up.raw() as client:
            assert await connect(client, "/chat") == told
            assert wire.emitter.namespaces == ()
            wire.on("connect", lambda sid, environ: None, namespace="/chat")
            assert "sid" in await connect(client, "/chat")

    async def test_a_handler_that_fails_is_told_by_its_trace_id(self, up: Serving, wire: Wire) -> None:
        @wire.on("connect")
        def fail(sid: str, environ: object) -> None:
            raise ZeroDivisionError

        with structlog.testing.capture_logs() as logs:
            async with up.raw() as client:
                told = await connect(client)
        assert told["data"]["code"] == "internal"
        assert [log["trace_id"] for log in logs if log["log_level"] == "error"] == [told["data"]["trace_id"]]

    async def test_only_namespaces_with_handlers_exist(self, up: Serving, wire: Wire) -> None:
        wire.on("message", lambda sid: None, namespace="/chat")
        async with up.raw() as client:
            assert await connect(client, "/other") == {"message": "Invalid namespace"}
            assert await connect(client) == {"message": "Invalid namespace"}
            assert "sid" in await connect(client, "/chat")
        await eventually(lambda: wire.emitter.namespaces == ())

    async def test_invented_namespaces_leave_nothing_behind(self, up: Serving, wire: Wire) -> None:
        wire.namespaces = "*"
        seen: list[tuple[object, ...]] = []
        wire.on("*", lambda *args: seen.append(args), namespace="*")
        async with up.raw() as client:
            sid = (await connect(client, "/invented"))["sid"]
            await client.send('42/invented,["hello",1]')
            await eventually(lambda: seen == [("hello", "/invented", sid, 1)])
        await eventually(lambda: not wire.emitter.namespaces and not wire._handler_endpoints)

    async def test_what_the_handler_emits_follows_the_answer(self, up: Serving, wire: Wire) -> None:
        @wire.on("connect")
        async def on_connect(sid: str, environ: object, auth: object) -> None:
            await wire.enter_room(sid, "x")
            await wire.emit("welcome", 1, to=sid)
            await wire.emit("everybody", 2)
            await wire.emit("room", 3, room="x")

        async with up.raw() as client:
            await connect(client)
            assert [await client.event(name) for name in ("welcome", "everybody", "room")] == [1, 2, 3]
            await wire.emit("later", 5, room="x")
            assert await client.event("later") == 5


class TestEvents:
    async def test_answers_are_the_librarys(self, up: Serving, wire: Wire) -> None:
        results: dict[str, Any] = {
            "none": None,
            "one": {"a": 1},
            "list": [1, 2],
            "tuple": (1, "b"),
            "empty": (),
            "zero": 0,
        }
        for name, result in results.items():
            wire.on(name, lambda sid, result=result: result)

        async def later(sid: str, *values: object) -> tuple[object, ...]:
            return values

        wire.on("later", later)
        async with up.signed_in() as client:
            for number, (name, result) in enumerate(results.items()):
                await client.send(f'42{number}["{name}"]')
                expected = list(result) if isinstance(result, tuple) else [] if result is None else [result]
                assert json.loads((await client.frame()).removeprefix(f"43{number}")) == expected
            await client.send('4299["later",1,{"b":[]}]')
            assert await client.frame() == '4399[1,{"b":[]}]'
            await client.send('42["one"]', '427["unknown"]', '428["zero"]')
            assert await client.frame() == "438[0]"

    async def test_binary_comes_and_goes(self, up: Serving, wire: Wire) -> None:
        wire.on("flip", lambda sid, data: {"flipped": data["raw"][::-1]})
        async with up.signed_in() as client:
            await client.send('451-5["flip",{"raw":{"_placeholder":true,"num":0}}]', b"\x01\x02")
            assert await client.frame() == '461-5[{"flipped":{"_placeholder":true,"num":0}}]'
            assert await client.websocket.recv() == b"\x02\x01"
            await wire.emit("blob", (b"\x07", "x"))
            assert await client.frame() == '451-["blob",{"_placeholder":true,"num":0},"x"]'
            assert await client.websocket.recv() == b"\x07"

    async def test_one_at_a_time_in_order(self, up: Serving, wire: Wire) -> None:
        log: list[str] = []
        gate = asyncio.Event()

        @wire.event
        async def slow(sid: str, name: str) -> None:
            log.append(f"{name} began")
            await gate.wait()
            log.append(f"{name} ended")

        @wire.event
        def plain(sid: str, name: str) -> None:
            log.append(name)

        async with up.signed_in() as client, up.signed_in() as other:
            await client.send('42["slow","a"]', '42["plain","b"]', '42["slow","c"]', '42["plain","d"]')
            await eventually(lambda: log == ["a began"])
            await other.send('42["plain","another"]')
            await eventually(lambda: log == ["a began", "another"])
            gate.set()
            await eventually(lambda: log[2:] == ["a ended", "b", "c began", "c ended", "d"])
            await eventually(lambda: len(wire.tasks) == 0)

    async def test_a_fault_is_logged_once_and_answered(self, up: Serving, wire: Wire) -> None:
        @wire.event
        async def later(sid: str) -> None:
            raise ZeroDivisionError

        @wire.event
        def now(sid: str) -> None:
            raise ZeroDivisionError

        @wire.event
        def odd(sid: str) -> object:
            return object()

        wire.on("good", lambda sid: "fine")
        with structlog.testing.capture_logs() as logs:
            async with up.signed_in() as client:
                await client.send('421["later"]', '422["now"]', '423["odd"]', '424["now",1,2]', '42["now"]')
                errors = [(await client.ack(number))["error"] for number in range(1, 5)]
                await client.send('425["good"]')
                assert await client.ack(5) == "fine"
        logged = [log["trace_id"] for log in logs if log["log_level"] == "error"]
        assert [error["code"] for error in errors] == ["internal"] * 4
        assert logged[:4] == [error["trace_id"] for error in errors] and len(logged) == 5

    async def test_faults_are_logged_so_many_a_second_and_without_values(self, up: Serving, wire: Wire) -> None:
        @wire.event
        def fail(sid: str, text: str) -> None:
            secret = text  # noqa: F841 - a local variable
            raise ValueError("m" * 10_000)

        with structlog.testing.capture_logs() as logs:
            async with up.signed_in() as client:
                for number in range(faults.MOST_A_SECOND + 5):
                    await client.send(f'42{number}["fail","hidden"]')
                    assert "error" in await client.ack(number)
                (dropped,) = await eventually(lambda: [log for log in logs if log["event"] == "faults_not_logged"])
        told = [log for log in logs if log["event"] == "handler_failed"]
        assert (len(told), dropped["number"]) == (faults.MOST_A_SECOND, 5)
        assert all("exc_info" not in log and "hidden" not in str(log) for log in told)
        assert "test_handlers.py" in told[0]["traceback"] and len(told[0]["traceback"]) < 3000

    async def test_an_event_with_the_catch_alls_name_is_one_of_its_events(self, up: Serving, wire: Wire) -> None:
        wire.on("*", lambda event, sid, *values: [event, *values])
        wire.on("*", lambda event, namespace, sid, *values: [event, namespace, *values], namespace="*")
        wire.namespaces = ["/other"]
        async with up.signed_in() as client:
            await client.send('421["*",7]')
            assert await client.ack(1) == ["*", 7]
            await connect(client, "/other")
            await client.send('42/other,2["*",7]')
            assert await client.frame() == '43/other,2[["*","/other",7]]'

    async def test_too_much_for_one_handler_is_refused(
        self, up: Serving, wire: Wire, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(turns, "MOST_WAITING", 2)
        gate = asyncio.Event()

        @wire.event
        async def slow(sid: str) -> None:
            await gate.wait()

        async with up.signed_in() as client:
            await client.send('421["slow"]', '422["slow"]', '423["slow"]', '424["slow"]', '42["slow"]')
            assert (await client.ack(4))["error"]["code"] == "rate_limited"
            assert (await client.event("error"))["code"] == "rate_limited"
            gate.set()
            assert [await client.frame() for _ in range(3)] == ["431[]", "432[]", "433[]"]

    async def test_what_is_no_packet_ends_the_connection(self, up: Serving, wire: Wire) -> None:
        wire.on("message", lambda sid: None)
        async with up.signed_in() as client:
            await client.send('42{"not":"an event"}')
            assert await client.closed() == 4002


class Chat(socketio.AsyncNamespace):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__("/chat")
        self.ends: list[str] = []

    def on_connect(self, sid: str, environ: object) -> None:
        """As older ones are written."""

    async def on_join(self, sid: str, room: str) -> list[str]:
        await self.enter_room(sid, room)
        await self.emit("joined", sid, room=room, skip_sid=sid)
        return self.rooms(sid)

    def on_plain(self, sid: str) -> str:
        return "plain"

    def on_disconnect(self, sid: str) -> None:
        self.ends.append(sid)


class TestNamespaces:
    async def test_a_class_has_the_events_of_its_namespace(self, up: Serving, wire: Wire) -> None:
        chat = Chat()
        wire.register_namespace(chat)
        async with up.raw() as one, up.raw() as two:
            a, b = [(await connect(client, "/chat"))["sid"] for client in (one, two)]
            await one.send('42/chat,1["join","x"]')
            assert json.loads((await one.frame()).removeprefix("43/chat,1")) == [[a, "x"]]
            await two.send('42/chat,2["join","x"]')
            assert await one.frame() == f'42/chat,["joined","{b}"]'
            assert (await two.frame()).startswith("43/chat,2")
            await two.send('42/chat,3["plain"]', '42/chat,4["unknown"]')
            assert [await two.frame(), await two.frame()] == ['43/chat,3["plain"]', "43/chat,4[]"]
        await eventually(lambda: sorted(chat.ends) == sorted([a, b]))

    async def test_a_class_may_have_a_way_of_its_own(self, up: Serving, wire: Wire) -> None:
        class Everything(socketio.AsyncNamespace):  # type: ignore[misc]
            async def trigger_event(self, event: str, *args: object) -> object:
                return None if event in ("connect", "disconnect") else [event, *args[1:]]

        wire.register_namespace(Everything("/all"))
        async with up.raw() as client:
            await connect(client, "/all")
            await client.send('42/all,1["what ever",5]')
            assert await client.frame() == '43/all,1[["what ever",5]]'

    async def test_catch_all_events_and_namespaces(self, up: Serving, wire: Wire) -> None:
        wire.on("known", lambda sid: "known", namespace="/chat")
        wire.on("*", lambda event, sid, *args: [event, *args], namespace="/chat")
        async with up.raw() as client:
            await connect(client, "/chat")
            await client.send('42/chat,1["known"]', '42/chat,2["other",1]')
            assert [await client.frame(), await client.frame()] == ['43/chat,1["known"]', '43/chat,2[["other",1]]']


class TestDisconnect:
    async def test_the_handler_follows_the_running_one_and_still_knows_the_client(
        self, up: Serving, wire: Wire
    ) -> None:
        log: list[Any] = []
        gate = asyncio.Event()

        @wire.event
        async def slow(sid: str) -> None:
            await wire.enter_room(sid, "x")
            await wire.save_session(sid, {"name": "Ada"})
            log.append("slow")
            await gate.wait()
            log.append("slow ended")

        @wire.event
        async def disconnect(sid: str, reason: str) -> None:
            session = await wire.get_session(sid)
            log.append((reason, wire.rooms(sid) == [sid, "x"], session, wire.get_environ(sid) is not None))

        wire.on("waiting", lambda sid: log.append("waiting"))
        async with up.signed_in() as client:
            await client.send('42["slow"]', '42["waiting"]', "41")
            await eventually(lambda: log == ["slow"])
        await eventually(lambda: up.wire.connections == 0)
        assert log == ["slow"]
        gate.set()
        await eventually(lambda: len(log) == 4)
        assert log[1:] == ["slow ended", "waiting", ("client disconnect", True, {"name": "Ada"}, True)]
        await eventually(lambda: not wire.emitter.namespaces)
        assert wire.rooms("anybody") == [] and wire.get_environ("anybody") is None

    async def test_the_server_ends_a_namespace(self, up: Serving, wire: Wire) -> None:
        ends: list[str] = []
        wire.on("connect", lambda sid, environ: None, namespace="/chat")
        wire.on("disconnect", lambda sid, reason: ends.append(reason), namespace="/chat")

        @wire.on("leave", namespace="/chat")
        async def leave(sid: str) -> None:
            await wire.disconnect(sid, "/chat")
            ends.append("asked")

        wire.on("message", lambda sid: "here")
        async with up.signed_in() as client:
            await connect(client, "/chat")
            await client.send('42/chat,["leave"]')
            assert await client.frame() == "41/chat,"
            await eventually(lambda: ends == ["asked", "server disconnect"])
            await client.send('421["message"]')
            assert await client.ack(1) == "here"

    async def test_a_handler_that_fails_is_logged_and_the_client_forgotten(self, up: Serving, wire: Wire) -> None:
        @wire.event
        async def disconnect(sid: str) -> None:
            raise ZeroDivisionError

        with structlog.testing.capture_logs() as logs:
            async with up.signed_in():
                pass
            await eventually(lambda: not wire.emitter.namespaces)
        assert len([log for log in logs if log["log_level"] == "error"]) == 1

    async def test_a_client_that_leaves_while_it_is_let_in(self, up: Serving, wire: Wire) -> None:
        log: list[str] = []
        gate = asyncio.Event()

        @wire.on("connect")
        async def on_connect(sid: str, environ: object) -> None:
            log.append("connect")
            await gate.wait()
            await wire.enter_room(sid, "x")

        wire.on("disconnect", lambda sid: log.append("disconnect"))
        async with up.raw() as client:
            await client.send("40")
            await eventually(lambda: log)
            client.websocket.transport.abort()
        gate.set()
        await eventually(lambda: log == ["connect", "disconnect"])
        await eventually(lambda: not wire.emitter.namespaces and not wire.connections)

    async def test_handlers_get_their_time_when_the_server_stops(self, up: Serving, wire: Wire) -> None:
        log: list[str] = []

        @wire.event
        async def disconnect(sid: str, reason: str) -> None:
            for _ in range(5):
                await asyncio.sleep(0)
            log.append(reason)

        async with up.signed_in() as client:
            wire.stop()
            await client.closed()
            await wire.shutdown()
            assert len(log) == 1 and not wire.emitter.namespaces
