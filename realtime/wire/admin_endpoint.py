"""The namespace of Socket.IO's admin UI: who may come in, and what they may have done.

Credentials are compared in constant time, and a wrong guess is answered late. Every action is refused while the UI is
read-only, whatever it shows.
"""

import asyncio
import hmac
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import structlog

from domain.kit.errors import Problem
from domain.kit.tasks import TaskOwner
from realtime.wire.arguments import Arguments
from realtime.wire.interface import Refused, Socket
from realtime.wire.packets import encode_json
from realtime.wire.rooms import Rooms

Credentials: TypeAlias = Mapping[str, str]
Judge: TypeAlias = Callable[[Any], bool | Awaitable[bool]]
Auth: TypeAlias = Credentials | Sequence[Credentials] | Judge | bool
"""As python-socketio takes it: a login, several, a function of what the client gave; False lets everybody in."""

ACTIONS = ("emit", "join", "leave", "_disconnect")
WRONG_SECONDS = 1.0
"""How late the answer to wrong credentials is."""
_REFUSAL: dict[str, object] = {"message": "invalid credentials"}
"""The words at which the UI asks again."""

_log = structlog.get_logger(__name__)


class Actions(Protocol):
    """What admins may have done. `to` is a room, a client's id, or None for everybody in the namespace."""

    async def emit(self, namespace: str, to: str | None, event: str, *values: object) -> None:
        """Send an event."""
        ...

    async def join(self, namespace: str, room: str, to: str | None) -> None:
        """Put clients into a room."""
        ...

    async def leave(self, namespace: str, room: str, to: str | None) -> None:
        """Take clients out of a room."""
        ...

    async def disconnect(self, namespace: str, to: str | None, *, close: bool) -> None:
        """End clients' namespace, or with `close` their connections."""
        ...


class AdminEndpoint:
    """Implements `interface.Endpoint`."""

    def __init__(
        self,
        auth: Auth,
        rooms: Callable[[], Rooms],
        actions: Actions | None,
        tasks: TaskOwner,
        greet: Callable[[Socket], None],
    ) -> None:
        """`actions` is None when the UI is read-only; `greet` is called with each admin that has come in."""
        self._auth = auth
        self._rooms = rooms
        self._actions = actions
        self._tasks = tasks
        self._greet = greet

    def admit(self, _socket: Socket, auth: Arguments) -> Awaitable[None] | None:
        """See `Endpoint`."""
        return None if self._auth is False else self._check(_only(auth))

    def opened(self, socket: Socket) -> None:
        """See `Endpoint`."""
        self._rooms().add(socket)
        self._greet(socket)

    def event(self, socket: Socket, name: str, arguments: Arguments, ack_id: int | None) -> None:
        """See `Endpoint`. The UI asks for no answers; what cannot be done is logged."""
        if self._actions is None or name not in ACTIONS:
            _log.warning("admin_refused", action=name[:20])
        else:
            self._tasks.start(self._act(self._actions, name, arguments), "action")
        if ack_id is not None:
            socket.acknowledge(ack_id)

    def fault(self, socket: Socket, problem: Problem, ack_id: int | None) -> None:
        """See `Endpoint`."""
        _log.info("admin_unreadable", code=problem.code.value)

    def closed(self, socket: Socket, reason: str) -> None:
        """See `Endpoint`."""
        self._rooms().remove(socket.sid)

    async def _check(self, given: object) -> None:
        if not await self._is_good(given):
            await asyncio.sleep(WRONG_SECONDS)
            _log.warning("admin_not_let_in")
            raise Refused(_REFUSAL)

    async def _is_good(self, given: object) -> bool:
        auth = self._auth
        if isinstance(auth, bool):
            return not auth
        if callable(auth):
            judged = auth(given)
            return bool(await judged if inspect.isawaitable(judged) else judged)
        return any(_same(given, wanted) for wanted in ([auth] if isinstance(auth, Mapping) else auth))

    async def _act(self, actions: Actions, name: str, arguments: Arguments) -> None:
        try:
            await _action(actions, name, arguments.values())
        except (Problem, ValueError, TypeError, RecursionError) as error:
            _log.warning("admin_action_failed", action=name, error=type(error).__name__)
        else:
            _log.info("admin_action", action=name)


def _action(actions: Actions, name: str, values: Sequence[Any]) -> Coroutine[Any, Any, None]:
    """What was asked for, in the UI's order of arguments. Raises ValueError when they are not what they should be."""
    first, second, *rest = values
    third = rest[0] if rest else None
    if name == "emit":
        return actions.emit(_text(first), _filter(second), _text(third), *rest[1:])
    if name == "_disconnect":
        return actions.disconnect(_text(first), _filter(third), close=bool(second))
    act = actions.join if name == "join" else actions.leave
    return act(_text(first), _text(second), _filter(third))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("text is due")
    return value


def _filter(value: object) -> str | None:
    return None if value is None or value == "" else _text(value)


def _only(auth: Arguments) -> object:
    try:
        return auth.values()[0] if len(auth) else None
    except (ValueError, RecursionError):
        return None


def _same(given: object, wanted: Credentials) -> bool:
    """Whether these are the credentials, and nothing else, in a time that says nothing of how much of them is right."""
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        return False
    return hmac.compare_digest(
        encode_json(sorted(given.items())).encode(), encode_json(sorted(wanted.items())).encode()
    )
