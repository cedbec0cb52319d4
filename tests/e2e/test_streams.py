"""Durable streams over two real nodes: numbered events on every device, and the way back to what was missed."""

from typing import Any

from tests.e2e.phones import Account, Phone, login, phone, register
from tests.e2e.processes import Pair
from tests.support import eventually

CHOICES = ("public", "followers", "nobody")


def own(account: Account) -> str:
    return f"user:{account.user_id}"


def told(device: Phone) -> list[dict[str, Any]]:
    """What a device was told of sharing, in order."""
    return [payload for event, payload in device.heard if event == "sharing:changed"]


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [event["seq"] for event in events]


async def test_every_device_hears_a_choice_once_and_in_order(pair: Pair) -> None:
    account = await register(pair.one.url)
    async with phone(account) as near, phone(account, pair.two.url) as far:
        assert near.ready["streams"] == far.ready["streams"]
        (standing,) = near.ready["streams"].values()
        assert standing["head"] == 0
        for audience in CHOICES * 3:
            await near.share(audience)
        for device in (near, far):
            await eventually(lambda device=device: len(told(device)) == 9)
            assert numbers(told(device)) == list(range(1, 10))
            assert [event["audience"] for event in told(device)] == list(CHOICES * 3)
            assert all(event["stream"] == own(account) for event in told(device))
        assert told(near) == told(far)


async def test_what_was_missed_is_resumed_on_another_node(pair: Pair) -> None:
    account = await register(pair.one.url)
    async with phone(account) as near:
        await near.share("public")
        (place,) = near.ready["streams"].values()
        position = {"epoch": place["epoch"], "seq": 1}
    async with phone(account) as near:
        for audience in CHOICES:
            await near.share(audience)
    async with phone(account, pair.two.url) as far:
        answer = await far.ask("session:resume", {"streams": {own(account): position}})
        resumed = answer["streams"][own(account)]
        assert resumed["recovered"] is True, answer
        assert [name for name, _ in resumed["events"]] == ["sharing:changed"] * 3
        assert numbers([event for _, event in resumed["events"]]) == [2, 3, 4]
        assert resumed["head"] == 4
        await far.share("public")
        await eventually(lambda: numbers(told(far)) == [5])
