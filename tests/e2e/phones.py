"""Riders' phones: an account, a Socket.IO connection (python-socketio's client) and what it heard."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx
import socketio

from domain.kit.ids import uuid7
from tests.e2e.processes import ANSWERED_WITHIN_SECONDS
from tests.support import eventually

PASSWORD = "winding-roads-2026"
CONNECT_SECONDS = 30


@dataclass
class Account:
    """A rider who signed in."""

    url: str
    device_id: str
    access_token: str
    refresh_token: str
    session_id: str
    rider: int
    user_id: str

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.access_token}"}


async def register(url: str, username: str | None = None) -> Account:
    """A new rider, signed in at the node with this address."""
    username = username or f"rider_{uuid4().hex[:12]}"
    async with httpx.AsyncClient(base_url=url, timeout=ANSWERED_WITHIN_SECONDS) as client:
        account = {"username": username, "email": f"{username}@example.org", "password": PASSWORD}
        answer = await client.post("/v1/auth/register", json=account)
        assert answer.status_code == 201, answer.text
    return await login(url, username)


async def login(url: str, username: str) -> Account:
    """Another sign-in of a rider, on a device of its own."""
    device_id = uuid4().hex
    async with httpx.AsyncClient(base_url=url, timeout=ANSWERED_WITHIN_SECONDS) as client:
        credentials = {"identifier": username, "password": PASSWORD, "device_id": device_id}
        answer = await client.post("/v1/auth/login", json=credentials)
        assert answer.status_code == 200, answer.text
    body = answer.json()
    user = body["user"]
    return Account(
        url, device_id, body["access_token"], body["refresh_token"], body["session_id"], user["rider"], user["id"]
    )


def rest_client(account: Account, url: str | None = None) -> httpx.AsyncClient:
    """Asks REST in the name of this rider, at the node with this address."""
    return httpx.AsyncClient(base_url=url or account.url, headers=account.headers, timeout=ANSWERED_WITHIN_SECONDS)


async def revoke(account: Account) -> None:
    """End the account's session, as from another device of the rider."""
    async with rest_client(account) as client:
        answer = await client.delete(f"/v1/auth/sessions/{account.session_id}")
    assert answer.status_code == 204, answer.text


async def draw_zone(account: Account, latitude: float, longitude: float, radius_metres: float = 200.0) -> None:
    """A privacy zone, as the app draws it."""
    zone = {"name": "home", "latitude": latitude, "longitude": longitude, "radius_metres": radius_metres}
    async with rest_client(account) as client:
        answer = await client.post("/v1/users/zones", json=zone)
    assert answer.status_code == 201, answer.text


class Phone:
    """One connected device. What it hears is kept in `heard`, in order."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.client = socketio.AsyncClient(reconnection=False)
        self.heard: list[tuple[str, Any]] = []
        self.ready: dict[str, Any] = {}
        self.dots: dict[int, dict[str, Any]] = {}
        """Where this phone sees riders: by number, with the topics they are on."""
        self._origins: dict[str, tuple[float, float]] = {}
        self.client.on("*", self._hear)

    async def _hear(self, event: str, payload: Any) -> None:
        self.heard.append((event, payload))
        if event == "session:ready":
            self.ready = payload
        elif event == "location:frame":
            self._see(payload)

    def _see(self, frame: dict[str, Any]) -> None:
        topic = frame["topic"]
        if frame.get("snapshot"):
            for dot in self.dots.values():
                dot["topics"].discard(topic)
        if "origin" in frame:
            self._origins[topic] = tuple(frame["origin"])
        latitude, longitude = self._origins.get(topic, (0.0, 0.0))
        for rider, d_latitude, d_longitude, heading, speed, age in frame.get("riders", []):
            topics = self.dots.get(rider, {}).get("topics", set()) | {topic}
            self.dots[rider] = {
                "latitude": round(latitude + d_latitude / 1e5, 5),
                "longitude": round(longitude + d_longitude / 1e5, 5),
                "heading": heading,
                "speed": speed,
                "age": age,
                "topics": topics,
            }
        for rider in frame.get("gone", []):
            self.dots.get(rider, {"topics": set()})["topics"].discard(topic)
        self.dots = {rider: dot for rider, dot in self.dots.items() if dot["topics"]}

    def sees(self, rider: int) -> tuple[float, float] | None:
        """Latitude and longitude of a rider's dot, None when it is not on this phone's map."""
        dot = self.dots.get(rider)
        return None if dot is None else (dot["latitude"], dot["longitude"])

    def was_shown(self, rider: int) -> bool:
        """Whether this phone was ever told where the rider is."""
        frames = (payload for event, payload in self.heard if event == "location:frame")
        return any(row[0] == rider for frame in frames for row in frame.get("riders", []))

    async def connect(self, url: str | None = None, transports: list[str] | None = None) -> None:
        """Connect and wait for `session:ready`."""
        auth = {"token": self.account.access_token, "device_id": self.account.device_id, "protocol": 1, "app": "tests"}
        # A server whose stores are all silent takes a moment to say who may come in.
        await self.client.connect(
            url or self.account.url, auth=auth, transports=transports or ["websocket"], wait_timeout=CONNECT_SECONDS
        )
        await eventually(lambda: self.ready, timeout=CONNECT_SECONDS)

    async def ask(self, event: str, payload: Any, timeout: float = ANSWERED_WITHIN_SECONDS) -> Any:
        """Send an event and return its ack."""
        return await self.client.call(event, payload, timeout=timeout)

    async def tell(self, event: str, payload: Any) -> "asyncio.Future[Any]":
        """Send an event; the future has its ack."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def acknowledge(*arguments: Any) -> None:
            if not answer.done():
                answer.set_result(arguments[0] if arguments else None)

        await self.client.emit(event, payload, callback=acknowledge)
        return answer

    async def start_track(self) -> str:
        """Share with the public and begin a track; its id."""
        await self.share("public")
        return await self.begin_track()

    async def begin_track(self) -> str:
        """Begin a track; its id."""
        track_id = str(new_id())
        answer = await self.ask("track:start", {"track_id": track_id, "started_at": now_ms()})
        assert answer.get("rider") == self.account.rider, answer
        return track_id

    async def share(self, audience: str) -> None:
        answer = await self.ask("sharing:set", {"audience": audience})
        assert answer.get("audience") == audience, answer

    async def move(self, track_id: str, seq: int, latitude: float, longitude: float, **more: Any) -> Any:
        """Send one fix and return the ack."""
        return await self.ask("location:update", {"track_id": track_id, "fix": fix(seq, latitude, longitude, **more)})

    async def disconnect(self) -> None:
        """Hang up; also what a connection that was cut has left open."""
        await self.client.disconnect()
        session = self.client.eio.http
        if session is not None and not session.closed:
            await session.close()


def fix(seq: int, latitude: float, longitude: float, **more: Any) -> dict[str, Any]:
    """A fix of just now."""
    return {"seq": seq, "timestamp": now_ms(), "latitude": latitude, "longitude": longitude, **more}


def around(latitude: float, longitude: float, degrees: float = 0.01) -> dict[str, Any]:
    """What `map:watch` takes to see the surroundings of a place."""
    box = [longitude - degrees, latitude - degrees, longitude + degrees, latitude + degrees]
    return {"bounds": box, "zoom": 14}


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def new_id() -> UUID:
    return uuid7(now_ms())


@asynccontextmanager
async def phone(account: Account, url: str | None = None, transports: list[str] | None = None) -> AsyncIterator[Phone]:
    """A connected phone that hangs up at the end."""
    device = Phone(account)
    try:
        await device.connect(url, transports)
        yield device
    finally:
        await device.disconnect()
