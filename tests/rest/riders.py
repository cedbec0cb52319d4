"""Signed-in riders who have tracks and ask for them."""

from typing import Any
from uuid import UUID

from sqlalchemy import text

from tests.rest.conftest import Rest, bearer
from tests.rest.problems import problem
from tests.support.tracks import SOUTH, WEST, seed_track


class Rider:
    """A signed-in rider who asks for tracks."""

    def __init__(self, rest: Rest, signed_in: dict[str, Any]) -> None:
        self.rest = rest
        self.id = UUID(signed_in["user"]["id"])
        self.headers = bearer(signed_in)

    async def get(self, path: str = "", **parameters: Any) -> Any:
        answer = await self.rest.client.get(f"/v1/tracks{path}", params=parameters, headers=self.headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def refused(self, path: str, status: int, code: str, field: str | None, **parameters: Any) -> None:
        answer = await self.rest.client.get(f"/v1/tracks{path}", params=parameters, headers=self.headers)
        problem(answer, status, code, field)

    async def track(self, **how: Any) -> str:
        return str((await seed_track(self.rest.world.engine, self.id, **how)).id)

    async def zone(self, latitude: float = SOUTH, radius_metres: float = 300) -> None:
        body = {"name": "home", "latitude": latitude, "longitude": WEST, "radius_metres": radius_metres}
        answer = await self.rest.client.post("/v1/users/zones", json=body, headers=self.headers)
        assert answer.status_code == 201

    async def sql(self, statement: str, **values: Any) -> None:
        async with self.rest.world.engine.begin() as connection:
            await connection.execute(text(statement), values)


async def rider(rest: Rest, name: str = "ada") -> Rider:
    return Rider(rest, await rest.register(name))
