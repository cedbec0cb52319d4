"""Every example of the OpenAPI document is sent, and what comes back looks like the example of the answer."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from tests.rest.conftest import Rest
from tests.rest.problems import problem
from tests.support.tracks import seed_track

_ORDER = ("POST", "PUT", "GET", "DELETE")
"""What is made first can be looked at and deleted."""
_LAST = "/v1/auth/logout"


@dataclass
class Operation:
    """One operation of the document."""

    method: str
    path: str
    content: dict[str, Any]
    document: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    def url(self, **changed: str) -> str:
        """The path with the examples of its parameters."""
        examples = {each["name"]: each["schema"]["examples"][0] for each in self.parameters("path", required=True)}
        return self.path.format(**examples | changed)

    def query(self) -> dict[str, Any]:
        return {
            each["name"]: each["schema"]["examples"][0]
            for each in self.parameters("query", required=False)
            if "examples" in each["schema"]
        }

    def parameters(self, where: str, *, required: bool) -> Iterator[dict[str, Any]]:
        for each in self.content.get("parameters", []):
            if each["in"] == where:
                schema = {**each["schema"], **{key: each[key] for key in ("examples",) if key in each}}
                assert "examples" in schema or not required, (self.name, each["name"])
                yield each | {"schema": schema}

    def bodies(self) -> Iterator[tuple[str, Any]]:
        """The media types of the request and an example of each."""
        for kind, content in self.content.get("requestBody", {}).get("content", {}).items():
            yield kind, content["example"] if "example" in content else self.resolved(content["schema"])["examples"][0]

    def success(self) -> tuple[int, Any]:
        """The status of success, and the example of its JSON, None where it has none."""
        (status,) = (int(each) for each in self.content["responses"] if each.startswith("2"))
        content = self.content["responses"][str(status)].get("content", {}).get("application/json")
        return status, None if content is None else self.resolved(content["schema"])["examples"][0]

    def errors(self) -> Iterator[tuple[int, str, dict[str, Any]]]:
        for status, response in self.content["responses"].items():
            if int(status) >= 400:
                for name, example in response["content"]["application/problem+json"]["examples"].items():
                    yield int(status), name, example["value"]

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        name = schema["$ref"].rpartition("/")[2]
        found: dict[str, Any] = self.document["components"]["schemas"][name]
        assert "examples" in found, f"{name} has no example"
        return found


class Examples:
    """The application with the things that the examples speak of: a rider, a track, a zone, a session."""

    def __init__(self, rest: Rest, document: dict[str, Any]) -> None:
        self.rest = rest
        self.operations = [
            Operation(method.upper(), path, content, document)
            for path, item in document["paths"].items()
            for method, content in item.items()
        ]
        self.operations.sort(key=lambda each: (each.path == _LAST, _ORDER.index(each.method)))
        self.live: dict[str, Any] = {}

    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.live['access_token']}"} if self.live else {}

    async def send(self, operation: Operation, **how: Any) -> httpx.Response:
        how = {"params": operation.query(), "headers": self.headers()} | how
        return await self.rest.client.request(operation.method, operation.url(), **how)

    async def send_body(self, operation: Operation, kind: str, body: Any) -> httpx.Response:
        headers = self.headers() | {"Content-Type": kind}
        if kind != "application/json":
            return await self.send(operation, content=body, headers=headers)
        # Nobody can print a refresh token that works.
        current = {name: self.live[name] for name in ("refresh_token",) if name in body}
        return await self.send(operation, json=body | current, headers=headers)

    async def make_things(self) -> None:
        """What the paths of the examples name, for the rider whom the first example registered."""
        user_id = UUID(self.live["user"]["id"])
        ids = {name: operation.url().rpartition("/")[2] for operation in self.operations
               for name in ("zone_id", "session_id", "track_id") if operation.path.endswith(f"{{{name}}}")}  # fmt: skip
        await seed_track(self.rest.world.engine, user_id, track_id=UUID(ids["track_id"]), points=200)
        stop = '[{"began_ms": 1, "ended_ms": 2, "latitude": 1.5, "longitude": 2.5}]'
        zone = {"name": "x", "latitude": 1.0, "longitude": 1.0, "radius_metres": 300.0}
        await self.rest.client.post("/v1/users/zones", json=zone, headers=self.headers())
        async with self.rest.world.engine.begin() as connection:
            await connection.execute(text("UPDATE privacy_zones SET id = :id"), {"id": ids["zone_id"]})
            await connection.execute(text("UPDATE tracks SET stops = CAST(:stop AS jsonb)"), {"stop": stop})
            await connection.execute(
                text(
                    "INSERT INTO sessions SELECT :id, user_id, device_id, ip_address, user_agent, created_at,"
                    " last_used_at, expires_at FROM sessions LIMIT 1"
                ),
                {"id": ids["session_id"]},
            )


@pytest.fixture
async def examples(rest: Rest) -> Examples:
    return Examples(rest, (await rest.client.get("/openapi.json")).json())


def alike(found: Any, example: Any, where: str) -> None:
    """Both have the same fields, of the same types; of lists the first items are compared, null is like anything."""
    if found is None or example is None:
        return
    if isinstance(example, bool) or not isinstance(example, int | float):
        assert type(found) is type(example), where
    else:
        assert isinstance(found, int | float), where
    if isinstance(example, dict):
        assert found.keys() == example.keys(), where
        for name, value in example.items():
            alike(found[name], value, f"{where}.{name}")
    if isinstance(example, list) and example and found:
        alike(found[0], example[0], f"{where}[0]")


async def test_every_example_works_and_its_answer_is_like_the_example(examples: Examples) -> None:
    for operation in examples.operations:
        status, expected = operation.success()
        for kind, body in list(operation.bodies()) or [("", None)]:
            answer = await (examples.send_body(operation, kind, body) if kind else examples.send(operation))
            assert answer.status_code == status, f"{operation.name}: {answer.text}"
            if expected is not None:
                alike(answer.json(), expected, operation.name)
        if expected is not None and "refresh_token" in expected:
            first = not examples.live
            examples.live = answer.json()
            if first:
                await examples.make_things()


async def test_examples_of_problems_are_like_those_that_come(examples: Examples) -> None:
    for operation in examples.operations:
        problems = {code: (status, example) for status, code, example in operation.errors()}
        assert {"rate_limited", "internal", "unavailable"} <= set(problems), operation.name
        for code, (status, example) in problems.items():
            assert (example["code"], example["status"]) == (code, status), operation.name
        if "unauthenticated" in problems and "security" in operation.content:
            answer = await examples.send(operation)
            found = problem(answer, 401, "unauthenticated")
            alike(found, problems["unauthenticated"][1] | {"field": "Authorization"}, operation.name)


async def test_what_is_not_there_is_answered_like_its_example(examples: Examples) -> None:
    examples.live = await examples.rest.register()
    nothing = "01989c1e-7f00-7000-8000-00000000dead"
    for operation in examples.operations:
        if "{" not in operation.path:
            continue
        (name,) = (each["name"] for each in operation.parameters("path", required=True))
        expected = {code: example for _, code, example in operation.errors()}
        for value, status, code in ((nothing, 404, "not_found"), ("x", 422, "invalid")):
            url = operation.url(**{name: value})
            answer = await examples.rest.client.request(operation.method, url, headers=examples.headers())
            found = problem(answer, status, code)
            found.pop("field", None)
            found.pop("errors", None)
            alike(found, expected[code], operation.name)
