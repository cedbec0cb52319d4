"""Signing in, fresher tokens, tokens that end, sessions that are revoked, several devices."""

import asyncio
import base64
import json
from typing import Any
from uuid import uuid4

import jwt
import pytest
import structlog

from domain.accounts.tokens import AUDIENCE, ISSUER, TokenKeys
from realtime.gateway.client import Client
from realtime.gateway.codes import FAULTY, SESSION_REVOKED, TOKEN_ENDED
from realtime.gateway.gateway import GatewayOptions
from tests.realtime.gateway.signed import LIFETIME_SECONDS, Node, node
from tests.realtime.serving import StalledClient
from tests.support.waiting import eventually

quiet = pytest.mark.usefixtures("faultless")


@quiet
async def test_the_first_event_says_who_one_is_and_what_one_may() -> None:
    async with node(GatewayOptions(send_interval_ms=1234)) as up, up.rider() as client:
        ready = client.ready
        assert ready["user_id"] == str(up.user_id)
        assert ready["rider"] == 7
        assert ready["server_time"] == up.clock.epoch_ms()
        assert ready["expires_at"] == up.clock.epoch_ms() + LIFETIME_SECONDS * 1000
        assert ready["send_interval_ms"] == 1234
        assert ready["limits"]["batch_fixes"] == 1000
        assert ready["limits"]["event_bytes"] == 512 * 1024
        assert ready["limits"]["rates"]["auth:refresh"]["burst"] > 0
        assert ready["streams"] == {}


def unsigned(token: str) -> str:
    header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"test","typ":"JWT"}').decode().rstrip("=")
    return f"{header}.{token.split('.')[1]}."


def other_algorithm(up: Node) -> str:
    claims = jwt.decode(up.token(), options={"verify_signature": False})
    return jwt.encode(claims, "a secret of tests that is long enough" * 2, "HS512", headers={"kid": "test"})


def without_session(up: Node) -> str:
    now = up.clock.epoch_ms() // 1000
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": str(up.user_id), "iat": now, "exp": now + 900}
    return jwt.encode(claims, "a secret of tests that is long enough", "HS256", headers={"kid": "test"})


OTHERS = TokenKeys("test", {"test": "another secret that is also long enough"})


@quiet
@pytest.mark.parametrize(
    ("forge", "code", "field"),
    [
        (lambda up: None, "unauthenticated", "token"),
        (lambda up: {}, "unauthenticated", "token"),
        (lambda up: {"device_id": "phone"}, "unauthenticated", "token"),
        (lambda up: {"token": up.token()}, "invalid", "device_id"),
        (lambda up: {**up.auth(), "extra": 1}, "invalid", "extra"),
        (lambda up: {**up.auth(), "protocol": 2}, "invalid", "protocol"),
        (lambda up: {**up.auth(), "protocol": "1"}, "invalid", "protocol"),
        (lambda up: {**up.auth(), "app": "x" * 300}, "invalid", "app"),
        (lambda up: {"token": 1, "device_id": "phone"}, "invalid", "token"),
        (lambda up: {"token": None, "device_id": "phone"}, "invalid", "token"),
        (lambda up: {"token": "", "device_id": "phone"}, "invalid", "token"),
        (lambda up: {"token": "x" * 5000, "device_id": "phone"}, "invalid", "token"),
        (lambda up: {"token": "nonsense", "device_id": "phone"}, "unauthenticated", "token"),
        (lambda up: {"token": "é.é.é", "device_id": "phone"}, "unauthenticated", "token"),
        (lambda up: {"token": up.token()[:-2], "device_id": "phone"}, "unauthenticated", "token"),
        (lambda up: {"token": up.token(keys=OTHERS), "device_id": "phone"}, "unauthenticated", "token"),
        (lambda up: {"token": unsigned(up.token()), "device_id": "phone"}, "unauthenticated", "token"),
        (lambda up: {"token": other_algorithm(up), "device_id": "phone"}, "unauthenticated", "token"),
        (lambda up: {"token": without_session(up), "device_id": "phone"}, "unauthenticated", "token"),
        (lambda up: {"token": up.token(), "device_id": "other"}, "unauthenticated", "device_id"),
    ],
)
async def test_tokens_that_are_not_good_are_refused(forge: Any, code: str, field: str | None) -> None:
    async with node() as up:
        refusal = await up.refusal(forge(up))
        assert (refusal["code"], refusal.get("field")) == (code, field)
        assert len(up.gateway) == 0
        assert up.metrics.get_sample_value("throttlecove_connects_refused_total", {"code": code}) == 1


@quiet
@pytest.mark.parametrize("auth", [["token"], "token"])
async def test_credentials_that_are_no_object_do_not_get_past_the_wire(auth: object) -> None:
    async with node() as up:
        refusal = await up.refusal(auth)
        assert (refusal["code"], refusal["field"]) == ("invalid", "auth")


@quiet
async def test_a_token_that_has_ended_says_so() -> None:
    async with node() as up:
        auth = up.auth()
        await up.turn(LIFETIME_SECONDS)
        assert (await up.refusal(auth))["code"] == "token_expired"


@quiet
async def test_a_revoked_session_is_not_let_in_and_without_an_answer_nobody_is() -> None:
    async with node() as up:
        up.ended.sessions.add(up.session_id)
        assert (await up.refusal(up.auth()))["code"] == "unauthenticated"
        up.ended.unknown = True
        refusal = await up.refusal(up.auth())
        assert (refusal["code"], refusal["retry_after_ms"]) == ("unavailable", 1000)


@quiet
async def test_the_sockets_of_a_revoked_session_and_no_others_end_within_a_second() -> None:
    async with node() as up:
        auth = "40" + json.dumps(up.auth())
        async with (
            StalledClient.open(up.up.port, auth) as stalled,
            up.rider() as mine,
            up.rider(session_id=uuid4(), device_id="tablet") as my_tablet,
            up.rider(user_id=uuid4(), session_id=uuid4(), rider=8) as stranger,
        ):
            await eventually(lambda: len(up.gateway) == 4)
            assert len(up.gateway.clients_of(up.user_id)) == 3
            assert up.session_id in up.gateway.live_sessions()
            up.gateway.session_revoked(up.session_id)
            assert b'"session_revoked"' in await stalled.read_to_end()
            assert (await mine.event("error"))["reconnect"] == "never"
            assert await mine.frame() == "41"
            assert await mine.closed() == SESSION_REVOKED.status
            for other in (my_tablet, stranger):
                await other.emit("test:plain", {"number": 1}, 1)
                assert await other.ack(1) == {"number": 1}
            assert (await up.refusal(up.auth()))["code"] == "unauthenticated"


@quiet
async def test_nobody_is_asked_while_every_revocation_is_heard() -> None:
    async with node() as up:
        up.ended.heard = True
        async with up.rider():
            up.gateway.session_revoked(up.session_id)
        assert (await up.refusal(up.auth()))["code"] == "unauthenticated"
        assert up.ended.asked == 0


@quiet
async def test_a_session_that_is_revoked_while_its_connect_is_checked_is_not_let_in() -> None:
    async with node() as up, up.up.raw() as client:
        up.ended.gate = asyncio.Event()
        await client.send("40" + json.dumps(up.auth()))
        await eventually(lambda: up.ended.asked)
        up.gateway.session_revoked(up.session_id)
        up.ended.gate.set()
        assert json.loads((await client.frame()).removeprefix("44"))["data"]["code"] == "unauthenticated"
        assert len(up.gateway) == 0


@quiet
async def test_a_token_that_ends_is_announced_and_then_closes_the_socket() -> None:
    async with node() as up, up.rider() as client:
        expires_at = client.ready["expires_at"]
        await up.turn(LIFETIME_SECONDS - 61)
        await up.turn(2)
        assert await client.event("auth:expiring") == {"expires_at": expires_at}
        await up.turn(58)
        await client.emit("test:plain", {"number": 1}, 1)
        assert await client.ack(1) == {"number": 1}
        await up.turn(2)
        told = await client.event("error")
        assert (told["code"], told["reconnect"]) == ("token_expired", "at_once")
        assert await client.closed() == TOKEN_ENDED.status
        assert up.handlers.trail == [("plain", 1)]


@quiet
async def test_a_fresher_token_keeps_the_socket() -> None:
    async with node() as up, up.rider() as client:
        await up.turn(LIFETIME_SECONDS - 100)
        await client.emit("auth:refresh", {"token": up.token()}, 1)
        expires_at = up.clock.epoch_ms() + LIFETIME_SECONDS * 1000
        assert await client.ack(1) == {"expires_at": expires_at}
        for _ in range(4):
            await up.turn(50)
        await client.emit("test:plain", {"number": 1}, 2)
        assert await client.ack(2) == {"number": 1}
        await up.turn(LIFETIME_SECONDS - 255)
        assert await client.event("auth:expiring") == {"expires_at": expires_at}


@quiet
async def test_refreshing_asks_for_the_same_rider_and_session() -> None:
    async with node() as up, up.rider() as client:
        before = next(iter(up.gateway)).identity
        for number, (token, code) in enumerate(
            [
                (up.token(user_id=uuid4()), "forbidden"),
                (up.token(session_id=uuid4()), "forbidden"),
                ("nonsense", "unauthenticated"),
                (up.token(keys=OTHERS), "unauthenticated"),
            ]
        ):
            await client.emit("auth:refresh", {"token": token}, number)
            assert (await client.ack(number))["error"]["code"] == code
        up.ended.sessions.add(up.session_id)
        await client.emit("auth:refresh", {"token": up.token()}, 9)
        assert (await client.ack(9))["error"]["code"] == "unauthenticated"
        assert next(iter(up.gateway)).identity == before


@quiet
async def test_an_older_token_takes_nothing_away() -> None:
    async with node() as up:
        old = up.token()
        await up.turn(100)
        async with up.rider() as client:
            await client.emit("auth:refresh", {"token": old}, 1)
            assert await client.ack(1) == {"expires_at": client.ready["expires_at"]}


@quiet
async def test_a_rider_has_several_devices_and_a_bound_on_sockets() -> None:
    async with (
        node(GatewayOptions(sockets_per_user=2)) as up,
        up.rider(),
        up.rider(session_id=uuid4(), device_id="tablet"),
    ):
        refusal = await up.refusal(up.auth(session_id=uuid4(), device_id="third"))
        assert refusal["code"] == "rate_limited"
        assert up.metrics.get_sample_value("throttlecove_sockets") == 2
    assert up.metrics.get_sample_value("throttlecove_sockets") == 0


@quiet
async def test_features_hear_of_each_client_once_and_keep_their_state_with_it() -> None:
    class State:
        pass

    async with node() as up:
        async with up.rider():
            [(kind, client)] = up.hooks.told
            assert kind == "on"
            assert client.get(State) is None
            with pytest.raises(LookupError):
                client.require(State)
            state = State()
            client.attach(state)
            assert client.get(State) is client.require(State) is state
        await eventually(lambda: [kind for kind, _ in up.hooks.told] == ["on", "off"])
        assert up.hooks.told[1][1] is client
        assert client.closed


async def test_a_feature_that_fails_at_connect_costs_that_client_only() -> None:
    async with node() as up, up.rider() as other:
        connected = up.hooks.on_connect

        def fail(client: Client) -> None:
            connected(client)
            raise ZeroDivisionError

        up.hooks.on_connect = fail  # type: ignore[method-assign]
        with structlog.testing.capture_logs() as logs:
            async with up.up.signed_in(up.auth()) as client:
                assert await client.closed() == FAULTY.status
        assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["connect_hook_failed"]
        await other.emit("test:plain", {"number": 1}, 1)
        assert await other.ack(1) == {"number": 1}


@quiet
async def test_revocations_are_remembered_as_long_as_a_token_may_live() -> None:
    async with node(GatewayOptions(revocation_memory_seconds=1000)) as up:
        up.gateway.session_revoked(up.session_id)
        await up.turn(999)
        assert (await up.refusal(up.auth()))["code"] == "unauthenticated"
        await up.turn(2)
        async with up.rider():
            assert len(up.gateway) == 1
