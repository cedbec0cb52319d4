"""The parts of uvicorn, websockets and python-socketio that the wire leans on and that nobody promised to keep.

When one of these fails after an update, read `realtime/wire/{http,handover,link,engine,server}.py` against the new
version.
"""

import inspect

import httptools
import pytest
import socketio
from uvicorn.config import Config
from uvicorn.middleware.proxy_headers import _TrustedHosts
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import Server
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.protocol import Protocol, Side, State
from websockets.speedups import apply_mask

from tests.realtime.serving import handshake


def source(thing: object) -> str:
    return inspect.getsource(thing)  # type: ignore[arg-type]


def test_uvicorn_makes_a_protocol_for_each_upgrade_and_gives_it_the_request() -> None:
    body = source(HttpToolsProtocol.handle_websocket_upgrade)
    steps = [
        "self.connections.discard(self)",
        "self.ws_protocol_class(",
        "config=self.config,",
        "server_state=self.server_state,",
        "app_state=self.app_state,",
        "protocol.connection_made(self.transport)",
        'protocol.data_received(b"".join(output))',
        "self.transport.set_protocol(protocol)",
    ]
    places = [body.index(step) for step in steps]
    assert places == sorted(places)
    assert "self.ws_protocol_class = self.ws" in source(Config.load)


def test_uvicorn_takes_our_protocol_class_for_http() -> None:
    assert "self.http_protocol_class = self.http" in source(Config.load)
    assert list(inspect.signature(HttpToolsProtocol).parameters) == ["config", "server_state", "app_state", "_loop"]


def test_uvicorn_reads_a_request_as_our_protocol_class_does_in_its_place() -> None:
    body = source(HttpToolsProtocol.data_received)
    steps = [
        "self._unset_keepalive_if_required()",
        "self.parser.feed_data(data)",
        "except httptools.HttpParserError:",
        "self.send_400_response(msg)",
        "except httptools.HttpParserUpgrade:",
        "if self._should_upgrade():",
        "self.handle_websocket_upgrade()",
        "self._unsupported_upgrade_warning()",
    ]
    places = [body.index(step) for step in steps]
    assert places == sorted(places)
    assert body.count("\n") == 15, "there is something new in it"


def test_uvicorn_makes_a_cycle_when_a_head_is_complete_and_none_for_an_upgrade() -> None:
    body = source(HttpToolsProtocol.on_headers_complete)
    assert body.index("self._should_upgrade():\n            return") < body.index("self.cycle = RequestResponseCycle(")
    assert "self.headers.append((name, value))" in source(HttpToolsProtocol.on_header)
    assert "self.url += url" in source(HttpToolsProtocol.on_url)
    assert "self.pipeline.appendleft(" in body
    for state in ("more_body = True", "response_started = False", "response_complete = False"):
        assert f"self.{state}" in source(RequestResponseCycle.__init__)
    assert not {"on_chunk_header", "on_chunk_complete"} & vars(HttpToolsProtocol).keys()


def test_uvicorn_says_when_an_answer_is_given_and_begins_a_request_as_our_protocol_class_does() -> None:
    """What `handover` leans on: one request at a time, the next one when `on_response_complete` was called."""
    body = source(HttpToolsProtocol.on_response_complete)
    assert "self.flow.resume_reading()" in body
    assert body.index("if self.pipeline:") < body.index("self.timeout_keep_alive_task = self.loop.call_later(")
    assert "on_response=self.on_response_complete," in source(HttpToolsProtocol.on_headers_complete)
    assert 'self.url = b""' in source(HttpToolsProtocol.on_message_begin)
    assert "self._transport.pause_reading()" in source(FlowControl.pause_reading)


def test_httptools_says_where_the_websocket_begins_and_what_failed() -> None:
    class Callbacks:
        def on_headers_complete(self) -> None:
            if failing:
                raise LookupError

    failing = False
    with pytest.raises(httptools.HttpParserUpgrade) as upgrade:
        httptools.HttpRequestParser(Callbacks()).feed_data(handshake(1) + b"rest")
    assert upgrade.value.args == (len(handshake(1)),)
    failing = True
    with pytest.raises(httptools.HttpParserError) as fault:
        httptools.HttpRequestParser(Callbacks()).feed_data(handshake(1))
    assert isinstance(fault.value.__context__, LookupError)


def test_uvicorn_gives_header_names_in_lower_case() -> None:
    assert "name = name.lower()" in source(HttpToolsProtocol.on_header)


def test_uvicorn_sends_connections_away_and_waits_for_them_at_shutdown() -> None:
    body = source(Server.shutdown)
    assert "for connection in list(self.server_state.connections):" in body
    assert "connection.shutdown()" in body
    assert "_wait_tasks_to_complete" in body


def test_uvicorns_own_protocol_can_be_fed_by_another() -> None:
    for name in ("connection_made", "data_received", "connection_lost", "pause_writing", "resume_writing", "shutdown"):
        assert name in vars(WebSocketsSansIOProtocol), name
    made = inspect.signature(WebSocketsSansIOProtocol).parameters
    assert list(made) == ["config", "server_state", "app_state", "_loop"]


def test_uvicorn_knows_which_proxies_to_believe() -> None:
    proxies = _TrustedHosts("10.0.0.0/8")
    assert "10.1.2.3" in proxies
    assert proxies.get_trusted_client_address("192.0.2.1, 10.0.0.7")[0] == "192.0.2.1"


def test_websockets_reads_frames_without_io() -> None:
    protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=10)
    protocol.receive_data(b"\x81\x80abcd" + b"\x01\x81\0\0\0\0x" + b"\x81\x80abcd")
    first, second = protocol.events_received()
    assert (bytes(first.data), first.fin) == (b"", True)  # type: ignore[union-attr]
    assert (bytes(second.data), second.fin) == (b"x", False)  # type: ignore[union-attr]
    assert protocol.parser_exc is not None
    assert protocol.close_sent is not None
    assert protocol.close_sent.code == 1002


def test_websockets_masks() -> None:
    assert apply_mask(b"abcde", b"\x01\x02\x03\x04") == b"````d"


def test_websockets_negotiates_compression_without_io() -> None:
    factory = ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
    accepted, extension = factory.process_request_params([], [])
    assert dict(accepted).keys() == {"server_no_context_takeover", "client_no_context_takeover"}
    assert extension.name == factory.name


def test_python_socketio_asks_for_our_engine() -> None:
    assert "self._engineio_server_class()(**engineio_options)" in source(socketio.base_server.BaseServer.__init__)
    assert "return await self.eio.handle_request(*args, **kwargs)" in source(socketio.AsyncServer.handle_request)
