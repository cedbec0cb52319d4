"""A rider's phone for Locust: an account, one Socket.IO connection, and every answer measured.

Each ack is a request of type `SIO` with the event's name; an `error` in it is a failure with its code.
"""

import time
import uuid
from collections.abc import Callable
from typing import Any

import socketio
from locust.env import Environment
from locust.exception import StopUser
from requests import Session

_PASSWORD = "winding-roads-2026"
_ANSWER_SECONDS = 15.0


class Refused(Exception):
    """The server answered with an error; its code is the message."""


class Phone:
    """One device of a new rider. `session` is a `requests` session that Locust measures."""

    def __init__(self, environment: Environment, session: Session, url: str) -> None:
        self._environment = environment
        self._url = url
        self._session = session
        self._device_id = uuid.uuid4().hex
        self._tokens: dict[str, Any] = {}
        self._handlers: dict[str, Callable[[Any], None]] = {}
        self._client = socketio.Client(reconnection=False, handle_sigint=False)
        self.rider = 0
        self.interval_seconds = 1.0
        self.closing_code: str | None = None
        self.on("session:ready", self._ready)
        self.on("rate:set", self._paced)
        self.on("auth:expiring", self._expiring)
        self.on("error", self._warned)

    @property
    def headers(self) -> dict[str, str]:
        """What authorises a REST request of this rider."""
        return {"Authorization": f"Bearer {self._tokens['access_token']}"}

    @property
    def connected(self) -> bool:
        """Whether the socket is up and signed in."""
        return bool(self._client.connected)

    def on(self, event: str, handler: Callable[[Any], None]) -> None:
        """Call the handler with the payload of each such event."""
        self._handlers[event] = handler
        self._client.on(event, handler)

    def sign_up(self) -> None:
        """Register and sign in. Raises StopUser when the server refuses."""
        name = f"load_{uuid.uuid4().hex[:12]}"
        account = {"username": name, "email": f"{name}@example.org", "password": _PASSWORD}
        self._post("register", account)
        self._tokens = self._post("login", {"identifier": name, "password": _PASSWORD, "device_id": self._device_id})

    def connect(self, name: str = "connect") -> None:
        """Open the socket, measured until the server has let it in. Raises StopUser when it does not."""
        auth = {"token": self._tokens["access_token"], "device_id": self._device_id, "app": "loadtests"}
        began = time.perf_counter()
        failure: Exception | None = None
        try:
            self._client.connect(self._url, auth=auth, transports=["websocket"], wait_timeout=_ANSWER_SECONDS)
        except socketio.exceptions.ConnectionError as error:
            failure = error
        self.measured("SIO", name, time.perf_counter() - began, failure)
        if failure is not None:
            raise StopUser from failure

    def cut(self) -> None:
        """Lose the network: the connection is gone and nobody said goodbye."""
        self._client.eio.ws.shutdown()
        self._client.eio.wait()

    def leave(self) -> None:
        """Disconnect in good order."""
        if self.connected:
            self._client.disconnect()

    def ask(self, event: str, payload: dict[str, Any], name: str | None = None) -> dict[str, Any] | None:
        """Send an event and wait for its ack; None when it was refused or did not come, which counts as a failure."""
        began = time.perf_counter()
        failure: Exception | None = None
        answer: dict[str, Any] | None = None
        try:
            answer = self._client.call(event, payload, timeout=_ANSWER_SECONDS)
            if answer is not None and "error" in answer:
                failure, answer = Refused(answer["error"]["code"]), None
        except socketio.exceptions.SocketIOError as error:
            failure = error
        self.measured("SIO", name or event, time.perf_counter() - began, failure)
        return answer

    def measured(self, kind: str, name: str, seconds: float, failure: Exception | None = None) -> None:
        """One more line in Locust's table."""
        self._environment.events.request.fire(
            request_type=kind,
            name=name,
            response_time=seconds * 1000.0,
            response_length=0,
            exception=failure,
            context={},
        )

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self._session.post(f"/v1/auth/{path}", json=body, timeout=_ANSWER_SECONDS)
        if not answer.ok:
            raise StopUser
        found: dict[str, Any] = answer.json()
        return found

    def _ready(self, payload: dict[str, Any]) -> None:
        self.rider = payload["rider"]
        self.interval_seconds = payload["send_interval_ms"] / 1000.0

    def _paced(self, payload: dict[str, Any]) -> None:
        self.interval_seconds = payload["send_interval_ms"] / 1000.0

    def _expiring(self, _payload: dict[str, Any]) -> None:
        body = {"refresh_token": self._tokens["refresh_token"], "device_id": self._device_id}
        self._tokens |= self._post("refresh", body)
        self.ask("auth:refresh", {"token": self._tokens["access_token"]})

    def _warned(self, payload: dict[str, Any]) -> None:
        self.closing_code = payload["code"]
        self.measured("SIO", "error", 0.0, Refused(payload["code"]))
