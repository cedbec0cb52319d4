"""What an unexpected error says when it is logged: the statement and the rule, never a value."""

import traceback

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.db.engine import create_engine

_TABLE = "CREATE TABLE secrets (email text UNIQUE CONSTRAINT plain CHECK (email NOT LIKE '%+%'), id uuid)"
_INSERT = "INSERT INTO secrets (email, id) VALUES (:email, CAST(CAST(:id AS text) AS uuid))"
_ANOTHER = "INSERT INTO secrets (email, id) VALUES (:email, CAST(:id AS uuid))"
ADA = "ada@example.org"


@pytest.mark.parametrize(
    ("statement", "email", "number"),
    [
        (_INSERT, ADA, None),
        (_INSERT, "ada+rides@example.org", None),
        (_INSERT, "ben@example.org", "4711-no-uuid"),
        (_ANOTHER, "ben@example.org", "4711-no-uuid"),
    ],
)
async def test_an_error_shows_neither_parameters_nor_the_row(
    empty_database_url: str, statement: str, email: str, number: str | None
) -> None:
    engine = create_engine(empty_database_url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text(_TABLE))
            await connection.execute(text(_INSERT), {"email": ADA, "id": None})
        with pytest.raises(DBAPIError) as refused:
            async with engine.begin() as connection:
                await connection.execute(text(statement), {"email": email, "id": number})
    finally:
        await engine.dispose()
    said = "".join(traceback.format_exception(refused.value))
    assert "INSERT INTO secrets" in said
    assert "violates" in said or "invalid input" in said
    assert "example.org" not in said
    assert "4711" not in said
