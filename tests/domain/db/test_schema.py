"""The migrations: from anywhere, by many at once, and saying the same as the tables."""

import asyncio
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError

import domain
from domain.db.engine import create_engine
from domain.db.migrate import migrate_database
from domain.db.tables import metadata
from tests.support import eventually

LOCKS = """
SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = pg_locks.database
WHERE locktype = 'advisory' AND datname = current_database()
"""


def differences(connection: Connection) -> list[object]:
    def ours(_object: object, name: str | None, kind: str, _reflected: bool, _compared_to: object) -> bool:
        return kind != "table" or name != "spatial_ref_sys"

    context = MigrationContext.configure(
        connection, opts={"include_object": ours, "compare_type": True, "compare_server_default": False}
    )
    return list(compare_metadata(context, metadata))


async def test_the_migrations_make_what_the_tables_say(database_url: str) -> None:
    engine = create_engine(database_url)
    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
    await engine.dispose()

    assert found == []


async def test_many_nodes_start_at_once(empty_database_url: str) -> None:
    await asyncio.gather(*(migrate_database(empty_database_url) for _ in range(4)))

    engine = create_engine(empty_database_url)
    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM alembic_version"))).scalar_one() == 1

        async def nobody_holds_the_lock() -> bool:
            return not (await connection.execute(text(LOCKS))).scalar_one()

        await eventually(nobody_holds_the_lock)  # it goes with the session, which Postgres ends in its own time
    await engine.dispose()


async def test_migrating_again_changes_nothing(database_url: str) -> None:
    engine = create_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(text("INSERT INTO track_gaps VALUES (gen_random_uuid(), 0, 1, 'lost')"))

    await migrate_database(database_url)

    async with engine.connect() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM track_gaps"))).scalar_one() == 1
    await engine.dispose()


def test_migrations_run_from_wherever_the_package_is(empty_database_url: str, tmp_path: Path) -> None:
    odd = tmp_path / "100% odd path"
    for package in ("domain", "geo"):
        source = Path(domain.__file__).parent.parent / package
        shutil.copytree(source, odd / package, ignore=shutil.ignore_patterns("__pycache__"))
    code = "import sys, domain.db.migrate as m; print(m.__file__); m.migrate(sys.argv[1])"

    done = subprocess.run(
        [sys.executable, "-c", code, empty_database_url], cwd=odd, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(odd))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE users SET role = 'king'",
        "INSERT INTO sharing VALUES (gen_random_uuid(), 'public', NULL, 1, now())",
        "INSERT INTO sharing SELECT id, 'everybody', NULL, 1, now() FROM users",
    ],
)
async def test_the_database_refuses_what_the_domain_never_writes(database_url: str, statement: str) -> None:
    engine = create_engine(database_url)
    user = (
        "INSERT INTO users (id, username, username_key, email, email_key, password_hash, created_at)"
        " VALUES (gen_random_uuid(), 'a', 'a', 'a', 'a', '', now())"
    )
    with pytest.raises(IntegrityError):
        async with engine.begin() as connection:
            await connection.execute(text(user))
            await connection.execute(text(statement))
    await engine.dispose()
