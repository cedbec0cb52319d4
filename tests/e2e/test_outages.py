"""Postgres, Redis or both are away while phones ride: what goes on meanwhile, that it heals, that nothing is lost."""

import asyncio
from typing import Any

import httpx
import pytest
import redis

from realtime.bus.policy_cache import policy_key
from tests.e2e.outages import (
    ANSWER_SECONDS,
    BACK_SECONDS,
    FAULTS,
    REDIS_SECONDS,
    Ground,
    assert_kept_once,
    outage,
    riding,
    says,
    seen,
    seen_moving,
    turned_away,
    watching,
)
from tests.e2e.phones import Account, Phone, draw_zone, new_id, now_ms, phone, register
from tests.e2e.promises import least
from tests.support import eventually

HOME, NOT_AT_HOME = (46.505, 8.29), (46.515, 8.29)
ZONE = {"name": "home", "latitude": 47.0, "longitude": 9.0, "radius_metres": 200}


async def rest(account: Account, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
    """Ask REST in the name of this rider; whatever is away, it answers in time."""
    async with httpx.AsyncClient(base_url=account.url, timeout=ANSWER_SECONDS) as client:
        return await client.request(method, path, json=body, headers=account.headers)


async def assert_rest_is_unavailable(account: Account) -> None:
    answers = await asyncio.gather(
        rest(account, "PUT", "/v1/users/sharing", {"audience": "nobody"}),
        rest(account, "POST", "/v1/users/zones", ZONE),
        rest(account, "GET", "/v1/users/profile"),
        rest(account, "POST", "/v1/auth/refresh", {"refresh_token": "unknown", "device_id": account.device_id}),
    )
    for answer in answers:
        assert answer.status_code == 503, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["code"] == "unavailable"
        assert answer.json()["retry_after_ms"] > 0


async def assert_refused_in_time(device: Phone) -> None:
    """A track cannot begin without Redis; the phone hears of it after one timeout, and not after two."""

    async def seconds() -> float:
        began = asyncio.get_running_loop().time()
        refused = await device.ask("track:start", {"track_id": str(new_id()), "started_at": now_ms()})
        assert refused["error"]["code"] == "unavailable"
        return asyncio.get_running_loop().time() - began

    await least(1.75 * REDIS_SECONDS, seconds)


@pytest.mark.parametrize("fault", [*FAULTS, "turn away"])
async def test_without_postgres_riders_are_seen_and_recorded(ground: Ground, fault: str) -> None:
    forgotten = await register(ground.one.url)
    async with (
        watching(ground.one) as near,
        watching(ground.two) as far,
        riding(ground.one) as rider,
        phone(forgotten) as quiet,
    ):
        await quiet.share("public")
        await seen_moving(far, rider)
        with redis.Redis.from_url(ground.redis.url) as client:
            client.delete(policy_key(forgotten.user_id))  # type: ignore[arg-type]
        async with turned_away(ground.postgres) if fault == "turn away" else outage(fault, ground.postgres):
            before = rider.newest
            await seen_moving(near, rider)
            await seen_moving(far, rider)
            await eventually(lambda: rider.acked_after(before) > 5, timeout=BACK_SECONDS)
            refused = await quiet.ask("sharing:set", {"audience": "nobody"}, timeout=ANSWER_SECONDS)
            assert refused["error"]["code"] == "unavailable"
            assert refused["error"]["retry_after_ms"] > 0
            await assert_rest_is_unavailable(forgotten)
            await says(ground.one, 200, database="unhealthy", redis="healthy", bus="healthy", stream="healthy")
            # Policies from their sealed copies: shown on any node; without a copy, to nobody.
            await rider.connect(ground.two.url)
            # A node that does not know the track asks a silent Postgres for it, and then for the policy.
            await seen_moving(far, rider)
            await seen_moving(near, rider)
            track = await quiet.begin_track()
            assert await quiet.move(track, 0, 46.51, 8.31) == {}
            assert near.sees(forgotten.rider) is None
            assert rider.refused == []
        await eventually(lambda: near.sees(forgotten.rider) and far.sees(forgotten.rider), timeout=BACK_SECONDS)
        await quiet.share("nobody")
        await eventually(lambda: near.sees(forgotten.rider) is None and far.sees(forgotten.rider) is None)
        await rider.finish()
    await assert_kept_once(ground.postgres.url, rider)


@pytest.mark.parametrize("fault", FAULTS)
async def test_without_redis_riders_are_seen_on_their_node_and_keep_their_fixes(ground: Ground, fault: str) -> None:
    hider, homely, late, gone = [await register(ground.one.url) for _ in range(4)]
    async with (
        watching(ground.one) as near,
        watching(ground.two) as far,
        riding(ground.one) as rider,
        phone(hider) as hiding,
        phone(homely) as at_home,
    ):
        for device, place in ((hiding, (46.51, 8.31)), (at_home, HOME)):
            assert await device.move(await device.start_track(), 0, *place) == {}
        async with phone(gone) as leaving:
            assert await leaving.move(await leaving.start_track(), 0, 46.512, 8.312) == {}
        for one in (hider, homely, gone):
            await eventually(lambda one=one: near.sees(one.rider) and far.sees(one.rider))
        await seen_moving(far, rider)
        async with outage(fault, ground.redis):
            await eventually(lambda: len(rider.refused) > 0, timeout=BACK_SECONDS)
            await seen_moving(near, rider)
            async with watching(ground.one, late) as newcomer:
                await seen_moving(newcomer, rider)
            changed = await hiding.ask("sharing:set", {"audience": "nobody"}, timeout=ANSWER_SECONDS)
            assert changed["audience"] == "nobody"
            await eventually(lambda: near.sees(hider.rider) is None)
            answer = await rest(hider, "GET", "/v1/users/sharing")
            assert answer.json()["audience"] == "nobody"
            await draw_zone(homely, *HOME)
            await eventually(lambda: near.sees(homely.rider) is None)
            # Nobody answers for a phone that has gone: each node takes its dot off by itself.
            assert (await rest(gone, "PUT", "/v1/users/sharing", {"audience": "nobody"})).status_code == 200
            await eventually(lambda: near.sees(gone.rider) is None and far.sees(gone.rider) is None)
            await says(ground.one, 200, database="healthy", redis="unhealthy", bus="degraded")
            await assert_refused_in_time(hiding)
            await rider.connect(ground.one.url)
            await seen_moving(near, rider)
        back = rider.newest
        await ground.heal()  # from then on both nodes know that Redis is back
        await eventually(lambda: seen(far, rider) >= back, timeout=BACK_SECONDS)
        for one in (hider, homely, gone):
            await eventually(lambda one=one: far.sees(one.rider) is None, timeout=BACK_SECONDS)
            assert near.sees(one.rider) is None
        async with watching(ground.one, late) as here, watching(ground.two, late) as there:
            assert not here.was_shown(gone.rider)
            assert not there.was_shown(gone.rider)
        await eventually(lambda: rider.acked_after(back) > 3, timeout=BACK_SECONDS)
        await rider.finish()
    await assert_kept_once(ground.postgres.url, rider)


async def test_a_phone_that_changes_nodes_while_redis_is_paused_is_one_dot_afterwards(ground: Ground) -> None:
    """Both nodes' takeovers wait in Redis, which carries them out in the order it likes."""
    async with watching(ground.one) as near, watching(ground.two) as far, riding(ground.two) as rider:
        await seen_moving(near, rider)
        await rider.connect(ground.one.url)
        await eventually(lambda: len(rider.acked) == len(rider.sent), timeout=BACK_SECONDS)
        async with outage("pause", ground.redis):
            for node in (ground.one, ground.two):
                await rider.connect(node.url)
                before = len(rider.refused)
                await eventually(lambda before=before: len(rider.refused) > before, timeout=BACK_SECONDS)
        back = rider.newest
        for watcher in (near, far):
            await eventually(lambda watcher=watcher: seen(watcher, rider) >= back, timeout=BACK_SECONDS)
            await seen_moving(watcher, rider)
        await rider.finish()


async def shows_itself(device: Phone, track: str) -> bool:
    """Whether a fix away from home was kept."""
    return await device.move(track, now_ms() % 1_000_000, *NOT_AT_HOME) == {}


@pytest.mark.parametrize("fault", FAULTS)
async def test_without_both_riders_are_seen_on_their_node(ground: Ground, fault: str) -> None:
    quiet, homely = await register(ground.one.url), await register(ground.one.url)
    await draw_zone(homely, *HOME)
    async with watching(ground.one) as near, watching(ground.two) as far, riding(ground.one) as rider:
        async with phone(homely) as at_home:
            track = await at_home.start_track()
            assert await at_home.move(track, 0, *HOME, timestamp=now_ms() - 1_200_000) == {}
        await seen_moving(far, rider)
        async with outage(fault, ground.postgres, ground.redis), phone(quiet) as connected:
            await eventually(lambda: len(rider.refused) > 0, timeout=BACK_SECONDS)
            await seen_moving(near, rider)
            refused = await connected.ask("sharing:set", {"audience": "public"}, timeout=ANSWER_SECONDS)
            assert refused["error"]["code"] == "unavailable"
            await assert_rest_is_unavailable(quiet)
            await says(ground.one, 503, database="unhealthy", redis="unhealthy", bus="degraded")
            # Whose policy is not known is hidden, at home and elsewhere.
            async with phone(homely) as came_back:
                for seq, place in ((1, HOME), (2, NOT_AT_HOME)):
                    minutes_ago = now_ms() - 600_000 + 300_000 * seq
                    assert "error" in await came_back.move(track, seq, *place, timestamp=minutes_ago)
            await seen_moving(near, rider)
            assert not near.was_shown(homely.rider)
            assert not far.was_shown(homely.rider)
        async with phone(homely) as came_back:
            await eventually(lambda: shows_itself(came_back, track), timeout=BACK_SECONDS)
            for watcher in (near, far):
                await eventually(lambda watcher=watcher: watcher.sees(homely.rider) == NOT_AT_HOME)
        back = rider.newest
        await eventually(lambda: seen(far, rider) >= back, timeout=BACK_SECONDS)
        await eventually(lambda: rider.acked_after(back) > 3, timeout=BACK_SECONDS)
        await rider.finish()
    await assert_kept_once(ground.postgres.url, rider)
