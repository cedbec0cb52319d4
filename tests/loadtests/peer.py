"""A small server of the live contract that misbehaves on request: what the real one cannot be made to do at a moment.

It keeps what it acknowledged, so that tests compare promises with what replay believes. Nodes may share one `Road`.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import socketio
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class Road:
    """What all nodes know: the fixes that were acknowledged, and who watches."""

    stored: dict[tuple[str, int], dict[str, Any]] = field(default_factory=dict)
    times_stored: dict[tuple[str, int], int] = field(default_factory=dict)
    accounts: dict[str, int] = field(default_factory=dict)
    watchers: list[tuple[socketio.AsyncServer, str]] = field(default_factory=list)
    stopped: dict[str, int] = field(default_factory=dict)

    def keep(self, track_id: str, fix: dict[str, Any]) -> None:
        """Store a fix; the same one again changes nothing but the count."""
        key = (track_id, fix["seq"])
        self.stored.setdefault(key, fix)
        self.times_stored[key] = self.times_stored.get(key, 0) + 1


class Peer:
    """One node. `refusals` are handed out, one each, instead of the next answers; `hang_ups` counts answers that are
    swallowed with the socket."""

    def __init__(self, road: Road) -> None:
        self.road = road
        self.refusals: deque[dict[str, Any]] = deque()
        self.hang_ups = 0
        self.connect_refusals: deque[str] = deque()
        self.reject_seqs: frozenset[int] = frozenset()
        self.events: list[str] = []
        self.signed_in: list[str] = []
        self.most_in_batch = 0
        self.sio = socketio.AsyncServer(async_mode="asgi", cors_allowed_origins="*")
        self._riders: dict[str, int] = {}
        self.sio.on("connect", self._connect)
        for event in ("sharing:set", "track:start", "track:stop", "map:watch", "location:update", "location:batch"):
            self.sio.on(event, self._handler(event))

    @property
    def app(self) -> Any:
        routes = [
            Route(f"/v1/auth/{path}", self._sign_in, methods=["POST"]) for path in ("register", "login", "refresh")
        ]
        return socketio.ASGIApp(self.sio, other_asgi_app=Starlette(routes=routes))

    async def _sign_in(self, request: Request) -> Response:
        body = await request.json()
        self.signed_in.append(request.url.path.rpartition("/")[2])
        name = body.get("username") or body.get("identifier") or body["refresh_token"]
        if request.url.path.endswith("register") and name in self.road.accounts:
            return JSONResponse({"code": "conflict"}, 409)
        rider = self.road.accounts.setdefault(name, len(self.road.accounts) + 1)
        user = {"id": f"00000000-0000-7000-8000-{rider:012}", "rider": rider, "username": name}
        return JSONResponse(
            {
                "access_token": str(rider),
                "refresh_token": body.get("refresh_token", name),
                "expires_in": 900,
                "user": user,
            }
        )

    async def _connect(self, sid: str, _environ: object, auth: dict[str, Any]) -> None:
        if self.connect_refusals:
            code = self.connect_refusals.popleft()
            raise socketio.exceptions.ConnectionRefusedError("no", {"code": code})
        self._riders[sid] = int(auth["token"])
        limits = {
            "batch_fixes": 10,
            "event_bytes": 100_000,
            "rates": {"location:update": {"per_second": 50, "burst": 9}},
        }
        ready = {"rider": self._riders[sid], "send_interval_ms": 100, "limits": limits}
        asyncio.get_running_loop().call_soon(
            lambda: self.sio.start_background_task(self.sio.emit, "session:ready", ready, to=sid)
        )

    def _handler(self, event: str) -> Any:
        async def handle(sid: str, payload: dict[str, Any]) -> dict[str, Any] | None:
            self.events.append(event)
            if event.startswith("location:") and self.hang_ups:
                self.hang_ups -= 1
                await self.sio.disconnect(sid)
                return None
            if event.startswith("location:") and self.refusals:
                return {"error": self.refusals.popleft()}
            return await self._answer(event, sid, payload)

        return handle

    async def _answer(self, event: str, sid: str, payload: dict[str, Any]) -> dict[str, Any]:
        match event:
            case "track:start":
                return {"rider": self._riders[sid], "send_interval_ms": 100}
            case "track:stop":
                self.road.stopped[payload["track_id"]] = payload["last_seq"]
            case "map:watch":
                self.road.watchers.append((self.sio, sid))
            case "location:update":
                if payload["fix"]["seq"] in self.reject_seqs:
                    return {"error": {"code": "invalid", "message": "no", "field": "fix"}}
                self.road.keep(payload["track_id"], payload["fix"])
                await self._show(self._riders[sid], payload["fix"])
            case "location:batch":
                return self._batch(payload)
        return {}

    def _batch(self, payload: dict[str, Any]) -> dict[str, Any]:
        fixes = payload["fixes"]
        self.most_in_batch = max(self.most_in_batch, len(fixes))
        bad = [fix["seq"] for fix in fixes if fix["seq"] in self.reject_seqs]
        for fix in fixes:
            if fix["seq"] not in bad:
                self.road.keep(payload["track_id"], fix)
        return {"accepted": len(fixes) - len(bad), "rejected": [{"seq": seq, "code": "invalid"} for seq in bad]}

    async def _show(self, rider: int, fix: dict[str, Any]) -> None:
        """Frames to all watchers, from an origin a little off."""
        latitude, longitude = round(fix["latitude"] * 1e5), round(fix["longitude"] * 1e5)
        origin = [(latitude - 7) / 1e5, (longitude + 9) / 1e5]
        frame = {"topic": "cell:x", "origin": origin, "riders": [[rider, 7, -9, -1, -1, 0]], "snapshot": True}
        for server, sid in self.road.watchers:
            await server.emit("location:frame", frame, to=sid)


@contextlib.asynccontextmanager
async def serving(peer: Peer) -> AsyncIterator[str]:
    """Serve the peer on a free port; its url."""
    config = uvicorn.Config(peer.app, port=0, log_level="critical", lifespan="off", ws="websockets-sansio")
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign] # signals are the test runner's
    task = asyncio.create_task(server.serve())
    try:
        while not server.started:
            await asyncio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        server.force_exit = True
        await task
