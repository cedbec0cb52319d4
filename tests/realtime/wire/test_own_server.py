"""What somebody meets who serves a wire of their own: options of the library, refusals that say why."""

import re

import pytest
import structlog
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from realtime.wire.options import WireOptions
from realtime.wire.server import Wire
from tests.realtime.serving import serving

pytestmark = pytest.mark.usefixtures("faultless")


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        ("cors_allowed_origins", "allowed_origins="),
        ("max_http_buffer_size", "frame_bytes="),
        ("ping_interval", "ping_interval_seconds="),
        ("logger", "structlog"),
        ("client_manager", "`nodes`"),
        ("queue_bytes", "use WireOptions(queue_bytes="),
        ("cors_alowed_origins", "did you mean 'cors_allowed_origins'"),
        ("xyzzy", "realtime.wire.options"),
    ],
)
def test_options_of_the_library_are_refused_with_what_to_use_instead(option: str, instead: str) -> None:
    with pytest.raises(
        TypeError, match=re.escape(f"{option!r} is not an option of this server: ") + ".*" + re.escape(instead)
    ):
        Wire(WireOptions(), **{option: None})


async def test_websockets_for_which_there_is_nobody_are_no_fault() -> None:
    async with serving(None) as up:
        for path in ("/elsewhere", "/socket.io/more"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws://127.0.0.1:{up.port}{path}", proxy=None)
            assert refused.value.response.status_code == 403


async def test_who_serves_without_our_way_for_websockets_is_told_once() -> None:
    with structlog.testing.capture_logs() as logs:
        async with serving(None, ws="websockets-sansio") as up:
            for _ in range(2):
                with pytest.raises(InvalidStatus):
                    await connect(up.websocket_url, proxy=None)
    assert [log["hint"] for log in logs if log["event"] == "websockets_not_served"] == [
        "serve with uvicorn_options(wire.engine)"
    ]


async def test_pages_that_may_not_connect_are_told_of_the_option() -> None:
    options = WireOptions(allowed_origins="https://example.org")
    async with serving(None, options) as up:
        with pytest.raises(InvalidStatus) as refused:
            await connect(up.websocket_url, proxy=None, origin=Origin("https://example.net"))
        assert b"allowed_origins" in refused.value.response.body
        async with up.raw(origin=Origin("https://example.org")):
            pass
