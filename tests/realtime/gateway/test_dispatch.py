"""Events of one socket: admitted in order, answered when they are done, refused with a code."""

import asyncio

import pytest
import socketio
import structlog

from domain.kit.errors import Unavailable
from realtime.gateway.codes import ABUSED, SESSION_REVOKED
from realtime.gateway.contracts import Limit
from realtime.gateway.dispatch import DispatchOptions
from realtime.gateway.gateway import GatewayOptions
from realtime.gateway.lanes import LaneLimits
from tests.realtime.gateway.signed import Numbered, Odd, node
from tests.support.waiting import eventually

quiet = pytest.mark.usefixtures("faultless")


@quiet
async def test_a_hundred_pipelined_updates_are_admitted_at_once_and_acked_in_order_by_one_tick() -> None:
    async with node() as up, up.rider() as client:
        for number in range(100):
            await client.emit("test:deferred", {"number": number}, number)
        await eventually(lambda: len(up.handlers.deferred) == 100)
        assert up.handlers.trail == [("deferred", number) for number in range(100)]
        for number in range(100):
            up.handlers.deferred[number].set_result(Numbered(number))
        for number in range(100):
            assert await client.ack(number) == {"number": number}
        assert up.counted("test:deferred", "ok") == 100


@quiet
async def test_the_same_with_the_official_client_and_one_future_for_all() -> None:
    async with node() as up:
        client = socketio.AsyncClient(reconnection=False)
        await client.connect(up.up.url, auth=up.auth(), transports=["websocket"])
        order: list[int] = []
        for number in range(100):
            await client.emit("test:deferred", {"number": number}, callback=lambda _, n=number: order.append(n))
        await eventually(lambda: len(up.handlers.deferred) == 100)
        for future in up.handlers.deferred.values():
            future.set_result(None)
        await eventually(lambda: len(order) == 100)
        assert order == list(range(100))
        await client.disconnect()


@quiet
async def test_a_deferred_ack_holds_up_nothing() -> None:
    async with node() as up, up.rider() as client:
        await client.emit("test:deferred", {"number": 1}, 1)
        await client.emit("test:plain", {"number": 2}, 2)
        assert await client.ack(2) == {"number": 2}
        up.handlers.deferred[1].set_result(None)
        assert await client.ack(1) == {}


@quiet
async def test_a_coroutine_holds_up_what_follows_in_its_lane_and_order_is_kept() -> None:
    async with node() as up, up.rider() as client:
        await client.emit("test:slow", {"number": 1}, 1)
        await client.emit("test:plain", {"number": 2}, 2)
        await client.emit("test:slow", {"number": 3}, 3)
        await client.emit("test:plain", {"number": 4}, 4)
        await client.emit("sos:test", {"number": 5}, 5)
        assert await client.ack(5) == {}
        assert up.handlers.trail == [("slow begins", 1), ("urgent", 5)]
        up.handlers.gates[1].set()
        assert [await client.ack(number) for number in (1, 2)] == [{"number": 1}, {"number": 2}]
        await eventually(lambda: 3 in up.handlers.gates)
        up.handlers.gates[3].set()
        assert [await client.ack(number) for number in (3, 4)] == [{"number": 3}, {"number": 4}]
        done = [("slow ends", 1), ("plain", 2), ("slow begins", 3), ("slow ends", 3), ("plain", 4)]
        assert up.handlers.trail[2:] == done


@quiet
async def test_another_sockets_lane_is_its_own() -> None:
    async with node() as up, up.rider() as one, up.rider() as two:
        await one.emit("test:slow", {"number": 1}, 1)
        await two.emit("test:plain", {"number": 2}, 2)
        assert await two.ack(2) == {"number": 2}
        up.handlers.gates[1].set()
        await one.ack(1)


@quiet
@pytest.mark.parametrize("limits", [LaneLimits(calls=3), LaneLimits(bytes=90)])
async def test_a_lane_that_is_full_refuses(limits: LaneLimits) -> None:
    options = GatewayOptions(dispatch=DispatchOptions(lane=limits))
    async with node(options) as up, up.rider() as client:
        for number in range(6):
            await client.emit("test:slow" if number == 0 else "test:plain", {"number": number}, number)
        refused = await client.ack(4)
        assert refused["error"]["code"] == "rate_limited"
        assert refused["error"]["retry_after_ms"] > 0
        assert (await client.ack(5))["error"]["code"] == "rate_limited"
        up.handlers.gates[0].set()
        assert [await client.ack(number) for number in range(4)] == [{"number": number} for number in range(4)]


@quiet
async def test_problems_are_answered_with_their_code_and_field() -> None:
    async with node() as up, up.rider() as client:
        await client.emit("test:raising", {"number": 1}, 1)
        assert await client.ack(1) == {"error": {"code": "conflict", "message": "taken", "field": "number"}}
        await client.emit("test:deferred", {"number": 2}, 2)
        await eventually(lambda: 2 in up.handlers.deferred)
        up.handlers.deferred[2].set_exception(Unavailable("not kept", retry_after_ms=500))
        assert await client.ack(2) == {"error": {"code": "unavailable", "message": "not kept", "retry_after_ms": 500}}
        await client.emit("test:deferred", {"number": 3}, 3)
        await eventually(lambda: 3 in up.handlers.deferred)
        up.handlers.deferred[3].cancel()
        assert (await client.ack(3))["error"]["code"] == "unavailable"
        assert up.counted("test:raising", "conflict") == 1


async def test_what_nobody_expected_is_internal_with_a_trace_id_and_logged_once() -> None:
    async with node() as up, up.rider() as client:
        up.handlers.raises = lambda: Odd("a detail that is nobody's business")
        with structlog.testing.capture_logs() as logs:
            await client.emit("test:raising", {"number": 1}, 1)
            error = (await client.ack(1))["error"]
        assert error["code"] == "internal"
        assert "detail" not in error["message"]
        failed = [entry for entry in logs if entry["event"] == "handler_failed"]
        assert [entry["trace_id"] for entry in failed] == [error["trace_id"]]
        await client.emit("test:deferred", {"number": 2}, 2)
        await eventually(lambda: 2 in up.handlers.deferred)
        up.handlers.deferred[2].set_result(object())
        assert (await client.ack(2))["error"]["code"] == "internal"
        await client.emit("test:plain", {"number": 3}, 3)
        assert await client.ack(3) == {"number": 3}


@quiet
@pytest.mark.parametrize(
    ("frame", "field"),
    [
        ('42%d["test:plain"]', None),
        ('42%d["test:plain",{"number":1},{}]', None),
        ('42%d["test:plain",[1]]', None),
        ('42%d["test:plain",null]', None),
        ('42%d["test:plain","1"]', None),
        ('42%d["test:plain",{}]', "number"),
        ('42%d["test:plain",{"number":"1"}]', "number"),
        ('42%d["test:plain",{"number":1.5}]', "number"),
        ('42%d["test:plain",{"number":null}]', "number"),
        ('42%d["test:plain",{"number":1e999}]', "number"),
        ('42%d["test:plain",{"number":' + "9" * 5000 + "}]", "number"),
        ('42%d["test:plain",{"number":NaN}]', "number"),
        ('42%d["test:plain",{"number":1,"numbr":2}]', "numbr"),
        ('42%d["test:plain",{"number":1,"label":["x"]}]', "label"),
        ('42%d["test:plain",{"number":1,"label":"\\ud800"}]', None),
        ('42%d["test:plain",{"number":' + "[" * 50_000 + "]" * 50_000 + "}]", None),
    ],
)
async def test_payloads_that_do_not_fit_name_the_field(frame: str, field: str | None) -> None:
    async with node() as up, up.rider() as client:
        await client.send(frame % 7)
        error = (await client.ack(7))["error"]
        assert error["code"] == "invalid"
        assert error["message"]
        assert error.get("field") == field
        await client.emit("test:plain", {"number": 1}, 8)
        assert await client.ack(8) == {"number": 1}
        assert up.handlers.trail == [("plain", 1)]


@quiet
async def test_binary_where_text_is_due_is_refused() -> None:
    async with node() as up, up.rider() as client:
        await client.send('451-7["test:plain",{"number":{"_placeholder":true,"num":0}}]', b"\x01")
        assert (await client.ack(7))["error"] == {
            "code": "invalid",
            "message": "binary where text is due: send one JSON object",
        }
        assert up.handlers.trail == []


@quiet
async def test_without_an_ack_a_refusal_is_an_error_event_that_names_its_event() -> None:
    async with node() as up, up.rider() as client:
        await client.emit("test:plain", {})
        told = await client.event("error")
        assert (told["code"], told["event"], told["field"]) == ("invalid", "test:plain", "number")
        await client.emit("ride:fly", {})
        told = await client.event("error")
        assert (told["code"], told["event"]) == ("unsupported", "ride:fly")
        await client.send("42nonsense")
        assert (await client.event("error"))["code"] == "invalid"
        await client.send(b"binary")
        assert (await client.event("error"))["code"] == "invalid"
        assert up.counted("unknown", "unsupported") == 1


@quiet
@pytest.mark.parametrize("name", ["nope", "message", "error", "", "x" * 10_000, "sos:" + "y" * 50])
async def test_unknown_events_are_unsupported(name: str) -> None:
    async with node() as up, up.rider() as client:
        await client.emit(name, {}, 1)
        error = (await client.ack(1))["error"]
        assert error["code"] == "unsupported"
        assert len(error["message"]) < 300


@quiet
@pytest.mark.parametrize("name", ["connect", "disconnect"])
async def test_names_that_socket_io_keeps_for_itself_are_invalid(name: str) -> None:
    async with node() as up, up.rider() as client:
        await client.emit(name, {}, 1)
        assert (await client.ack(1))["error"]["code"] == "invalid"


@quiet
async def test_limits_let_a_burst_through_and_say_when_to_come_again() -> None:
    async with node() as up, up.rider() as client:
        assert client.ready["limits"]["rates"]["test:few"] == {"per_second": 2.0, "burst": 3}
        for number in range(5):
            await client.emit("test:few", {"number": number}, number)
        assert [await client.ack(number) for number in range(3)] == [{}] * 3
        for number in (3, 4):
            error = (await client.ack(number))["error"]
            assert (error["code"], error["retry_after_ms"]) == ("rate_limited", 500)
        await up.turn(0.5)
        await client.emit("test:few", {"number": 5}, 5)
        assert await client.ack(5) == {}
        await client.emit("test:plain", {"number": 6}, 6)
        assert await client.ack(6) == {"number": 6}
        assert [number for _, number in up.handlers.trail] == [0, 1, 2, 5, 6]


@quiet
async def test_limits_are_settings() -> None:
    options = GatewayOptions(limits={"test:plain": Limit(1.0, 1)})
    async with node(options) as up, up.rider() as client, up.rider() as other:
        assert client.ready["limits"]["rates"]["test:plain"] == {"per_second": 1.0, "burst": 1}
        await client.emit("test:plain", {"number": 1}, 1)
        await client.emit("test:plain", {"number": 2}, 2)
        await client.ack(1)
        assert (await client.ack(2))["error"]["retry_after_ms"] == 1000
        await other.emit("test:plain", {"number": 3}, 3)
        assert await other.ack(3) == {"number": 3}


@quiet
async def test_a_socket_that_only_sends_nonsense_is_closed() -> None:
    options = GatewayOptions(dispatch=DispatchOptions(refusals=Limit(1.0, 10)))
    async with node(options) as up, up.rider() as client:
        await client.send(*["42x"] * 11)
        while (told := await client.event("error"))["code"] == "invalid":
            pass
        assert (told["code"], told["reconnect"]) == ("rate_limited", "later")
        assert await client.closed() == ABUSED.status
        assert (await eventually(lambda: up.hooks.told[1:]))[0][0] == "off"


@quiet
async def test_floods_of_acks_that_nobody_asked_for_are_refusals() -> None:
    options = GatewayOptions(dispatch=DispatchOptions(refusals=Limit(1.0, 50)))
    async with node(options) as up, up.rider() as client:
        await client.send(*(f"43{number}[]" for number in range(51)))
        assert await client.closed() == ABUSED.status


@quiet
async def test_what_runs_when_the_client_leaves_ends_before_the_features_hear_of_it() -> None:
    async with node() as up:
        async with up.rider() as client:
            await client.emit("test:slow", {"number": 1}, 1)
            await client.emit("test:plain", {"number": 2}, 2)
            await eventually(lambda: up.handlers.trail)
        await eventually(lambda: len(up.gateway) == 0)
        assert [kind for kind, _ in up.hooks.told] == ["on"]
        assert up.hooks.told[0][1].closed
        up.handlers.gates[1].set()
        await eventually(lambda: len(up.hooks.told) == 2)
        assert up.handlers.trail == [("slow begins", 1), ("slow ends", 1)]


@quiet
async def test_deferred_acks_of_a_client_that_left_go_nowhere() -> None:
    async with node() as up:
        async with up.rider() as client:
            for number in range(3):
                await client.emit("test:deferred", {"number": number}, number)
            await eventually(lambda: len(up.handlers.deferred) == 3)
        await eventually(lambda: len(up.hooks.told) == 2)
        up.handlers.deferred[0].set_result(None)
        up.handlers.deferred[1].set_exception(Unavailable("gone"))
        up.handlers.deferred[2].cancel()
        await asyncio.sleep(0)


@quiet
async def test_events_after_a_close_are_not_handled() -> None:
    async with node() as up, up.rider() as client:
        up.gateway.session_revoked(up.session_id)
        await client.emit("test:plain", {"number": 1}, 1)
        assert (await client.event("error"))["code"] == SESSION_REVOKED.code
        assert await client.closed() == SESSION_REVOKED.status
        assert up.handlers.trail == []
