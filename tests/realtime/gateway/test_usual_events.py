"""Events are taken by a short way once a client has sent one of their name: nobody can tell which way one went."""

import pytest
from websockets.exceptions import ConnectionClosed

from realtime.gateway.gateway import GatewayOptions
from tests.realtime.gateway.signed import MANY, Node, node
from tests.realtime.serving import RawClient

pytestmark = pytest.mark.usefixtures("faultless")

OFTEN = GatewayOptions(limits={"test:few": MANY})
USUAL = '421["test:few",{"number":1}]'


async def warm(client: RawClient) -> None:
    """Let the next event be usual."""
    await client.send(USUAL)
    assert await client.frame() == "431[{}]"


async def after(up: Node, frame: str, *, usual: bool) -> list[str]:
    """What a client hears from this frame to the end of one that is fine."""
    async with up.rider() as client:
        if usual:
            await warm(client)
        await client.send(frame)
        await client.send('4299["test:plain",{"number":9}]')
        heard = [await client.frame()]
        while not heard[-1].startswith("4399["):
            heard.append(await client.frame())
        return heard


@pytest.mark.parametrize(
    ("frame", "acks"),
    [
        ('42["test:few",{"number":1}]', []),
        ('420["test:few",{"number":1}]', ["430[{}]"]),
        ('42007["test:few",{"number":1}]', ["437[{}]"]),
        ('4200["test:few",{"number":1}]', ["430[{}]"]),
        ('42123456789012345["test:few",{"number":1}]', ["43123456789012345[{}]"]),
        ('421234567890123456["test:few",{"number":1}]', ["431234567890123456[{}]"]),
        ('427[ "test:few" , {"number":1} ]', ["437[{}]"]),
        ('427["test\\u003afew",{"number":1}]', ["437[{}]"]),
        ('427["test:few",{"number":1,"label":"Gru\\u00df, \\"[\\","}]', ["437[{}]"]),
        ('427["test:few",{"number":1,"label":"Grüße 🏍"}]', ["437[{}]"]),
        ('427["test:few",{"number":1}]\n', ["437[{}]"]),
    ],
)
async def test_however_a_good_event_is_written_it_is_handled_once(frame: str, acks: list[str]) -> None:
    async with node(OFTEN) as up:
        for usual in (False, True):
            up.handlers.trail.clear()
            assert (await after(up, frame, usual=usual))[:-1] == acks
            assert up.handlers.trail == [("few", 1)] * (1 + usual) + [("plain", 9)]


@pytest.mark.parametrize(
    "frame",
    [
        '427["test:few"]',
        '427["test:few",]',
        '427["test:few",{"number":1}',
        '427["test:few",{"number":1}}',
        '427["test:few",{"number":1}]]',
        '427["test:few",{"number":1},{"number":2}]',
        '427["test:few",{"number":"1"}]',
        '427["test:few",{"number":1,"other":2}]',
        '427["test:few",{"number":NaN}]',
        '42["test:few",{"number":null}]',
        '427["test:few",' + '{"number":' * 100 + "1" + "}" * 100 + "]",
        '42/,7["test:few",1]',
        '4212345678901234567["test:few",{"number":1}]',
        '42٣["test:few",{"number":1}]',
    ],
)
async def test_a_bad_event_is_refused_in_the_same_words(frame: str) -> None:
    async with node(OFTEN) as up:
        first = await after(up, frame, usual=False)
        assert len(first) == 2
        assert await after(up, frame, usual=True) == first
        assert up.handlers.trail == [("plain", 9), ("few", 1), ("plain", 9)]


async def test_a_refused_payload_costs_one_turn_as_a_good_one_does() -> None:
    async with node() as up, up.rider() as client:
        await warm(client)
        await client.send('422["test:few",{"number":"x"}]')
        assert (await client.frame()).startswith('432[{"error"')
        await client.send(USUAL)
        assert await client.frame() == "431[{}]"
        await client.send(USUAL)
        assert "rate_limited" in await client.frame()
        assert up.counted("test:few", "ok") == 2
        assert up.counted("test:few", "rate_limited") == 1


async def test_many_in_a_row_are_answered_in_order_whatever_they_are() -> None:
    async with node(OFTEN) as up, up.rider() as client:
        await warm(client)
        frames = [f'42{n}["test:{"few" if n % 3 else "plain"}",{{"number":{n if n % 5 else "{}"}}}]' for n in range(90)]
        for frame in frames:
            await client.send(frame)
        answers = [await client.frame() for _ in frames]
        assert [answer[2 : answer.index("[")] for answer in answers] == [str(n) for n in range(90)]
        assert [n for n, answer in enumerate(answers) if "error" in answer] == list(range(0, 90, 5))


async def test_text_that_is_no_utf_8_ends_the_connection() -> None:
    async with node(OFTEN) as up, up.rider() as client:
        await warm(client)
        await client.websocket.send(b'427["test:few",{"number":1,"label":"\xff"}]', text=True)
        with pytest.raises(ConnectionClosed) as closed:
            await client.frame()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1007
        assert up.handlers.trail == [("few", 1)]


@pytest.mark.parametrize("usual", [False, True])
async def test_a_client_that_its_handler_has_ended_gets_no_ack(usual: bool) -> None:
    async with node(OFTEN) as up, up.rider() as client:
        if usual:
            await warm(client)
        await client.send('427["test:few",{"number":1,"label":"leave"}]')
        assert await client.frame() == "41"
        await client.sign_in(up.auth())
        assert (await client.frame()).startswith('42["session:ready"')
        await client.send(USUAL)
        assert await client.frame() == "431[{}]"
