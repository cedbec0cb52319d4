"""What every Python server does in the fan-out figures, written once against python-socketio's interface."""

from typing import Any

ROOM = "r"


def attach(server: Any, payload: object) -> None:
    """`join` enters the room, `go` sends `payload` to it, `bench:event` does nothing and is acknowledged."""

    async def join(sid: str, _data: object) -> None:
        await server.enter_room(sid, ROOM)

    async def go(_sid: str, _data: object) -> None:
        await server.emit("event", payload, room=ROOM)

    async def event(_sid: str, _data: object) -> dict[str, object]:
        return {}

    server.on("join", join)
    server.on("go", go)
    server.on("bench:event", event)
