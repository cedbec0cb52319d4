"""The OpenAPI document tells the truth: every error is a problem, and every body forbids what it does not name."""

from collections.abc import Iterator
from typing import Any

import pytest

from domain.kit.errors import ERRORS, Code
from rest.problems import PROBLEM_SCHEMA
from tests.rest.conftest import Rest

PROBLEM = {"$ref": "#/components/schemas/Problem"}


@pytest.fixture
async def document(rest: Rest) -> dict[str, Any]:
    answer = await rest.client.get("/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method.upper()} {path}", operation


async def test_the_document_says_where_a_token_comes_from(document: dict[str, Any]) -> None:
    assert "/v1/auth/login" in document["paths"]
    assert "`POST /v1/auth/login`" in document["info"]["description"]


async def test_every_error_is_documented_as_a_problem(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        errors = {int(status): each for status, each in operation["responses"].items() if int(status) >= 400}
        expected = {429, 500, 503}
        if "security" in operation:
            expected.add(401)
        if "requestBody" in operation:
            expected |= {413, 422}
        if "{" in name:
            expected |= {404, 422}
        assert expected <= set(errors), name
        for response in errors.values():
            (content,) = response["content"].items()
            assert (content[0], content[1]["schema"]) == ("application/problem+json", PROBLEM), name


async def test_no_other_shape_of_error_is_left(document: dict[str, Any]) -> None:
    assert "HTTPValidationError" not in document["components"]["schemas"]
    assert document["components"]["schemas"]["Problem"] == PROBLEM_SCHEMA


async def test_what_is_personal_is_marked_so(document: dict[str, Any]) -> None:
    free = {name for name, operation in operations(document) if "security" not in operation}

    assert free == {"POST /v1/auth/register", "POST /v1/auth/login", "POST /v1/auth/refresh"}


async def test_bodies_forbid_what_they_do_not_name(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    bodies = [each for name, each in schemas.items() if name.endswith("Body")]

    assert len(bodies) == 6
    assert all(each["additionalProperties"] is False for each in bodies)


async def test_every_operation_is_explained(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        assert operation.get("description"), name
        assert 3 < len(operation["summary"]) < 110, name
        assert any(int(status) < 300 for status in operation["responses"]), name


def test_every_code_has_its_line_in_the_table() -> None:
    assert set(ERRORS) == set(Code)
