"""The parts of uvicorn, websockets and python-engineio that the wire leans on and that nobody promised to keep.

When one of these fails after an update, read `realtime/wire/link.py` and `engine.py` against the new version.
"""

import inspect

import engineio
import socketio
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import Server
from websockets.protocol import State
from websockets.server import ServerProtocol

from realtime.wire.engine import EngineServer
from realtime.wire.link import Link


def source(thing: object) -> str:
    return inspect.getsource(thing)  # type: ignore[arg-type]


def test_the_link_overrides_what_uvicorn_calls() -> None:
    overridden = {
        "handle_connect",
        "send",
        "send_receive_event_to_app",
        "handle_parser_exception",
        "handle_close",
        "shutdown",
        "resume_writing",
        "connection_lost",
    }
    for name in overridden:
        assert name in vars(WebSocketsSansIOProtocol), name
        ours, theirs = (inspect.signature(getattr(kind, name)).parameters for kind in (Link, WebSocketsSansIOProtocol))
        assert list(ours) == list(theirs), name


def test_uvicorn_keeps_the_state_that_the_link_reads_and_sets() -> None:
    written = source(WebSocketsSansIOProtocol.__init__)
    for name in ("queue", "handshake_complete", "close_sent", "disconnected", "close_timer", "conn", "read_paused"):
        assert f"self.{name}" in written, name
    assert "self.writable = asyncio.Event()" in written
    assert "self.frames" in written
    assert "curr_msg_data_type" in written


def test_uvicorn_leaves_the_transport_alone_while_its_close_timer_is_set() -> None:
    assert "if self.close_timer is None:\n            self.transport.close()" in source(
        WebSocketsSansIOProtocol.run_asgi
    )


def test_uvicorn_makes_the_scope_before_the_application_runs() -> None:
    body = source(WebSocketsSansIOProtocol.handle_connect)
    assert body.index("self.scope") < body.index("create_task(self.run_asgi())")
    assert '"extensions"' in body


def test_uvicorn_reads_messages_into_the_queue_and_pauses() -> None:
    body = source(WebSocketsSansIOProtocol.send_receive_event_to_app)
    assert 'self.queue.put_nowait({"type": "websocket.receive", "text": data.decode()})' in body
    assert "self.transport.pause_reading()" in body


def test_uvicorn_waits_for_connections_at_shutdown() -> None:
    assert "_wait_tasks_to_complete" in source(Server.shutdown)


def test_websockets_closes_without_io() -> None:
    protocol = ServerProtocol()
    assert protocol.state is State.CONNECTING
    for name in ("send_close", "data_to_send", "receive_data", "close_sent"):
        assert hasattr(protocol, name), name


def test_the_library_asks_for_our_engine_and_calls_what_we_override() -> None:
    assert "self._engineio_server_class()(**engineio_options)" in source(socketio.base_server.BaseServer.__init__)
    body = source(engineio.AsyncServer.handle_request)
    assert "await self._handle_connect(environ, transport,\n" in body
    assert "await socket.handle_get_request(" in body
    assert "await socket.handle_post_request(environ)" in body
    assert inspect.signature(EngineServer._handle_connect).parameters.keys() == (
        inspect.signature(engineio.AsyncServer._handle_connect).parameters.keys()
    )
    assert "environ = {" in source(engineio.async_drivers.asgi.translate_request)
    assert "'asgi.scope': scope" in source(engineio.async_drivers.asgi.translate_request)


def test_the_library_reads_these_members_of_a_connection() -> None:
    body = source(engineio.AsyncServer.handle_request) + source(engineio.base_server.BaseServer._get_socket)
    for name in ("socket.connected", "socket.upgraded", "s.closed"):
        assert name in body
    assert "await socket.close(reason=" in source(engineio.AsyncServer.disconnect)
