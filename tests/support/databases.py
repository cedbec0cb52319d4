"""A migrated database for each test: cloned from a template, which is migrated once for each test process."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager

from server.stack import PostgresServer

_TEMPLATE = "template_throttlecove"
_EMPTY_TEMPLATE = "template1"


class Databases:
    """Hands out clones of one migrated template; they are dropped after use, whoever is still connected."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server
        self._numbers = itertools.count(1)
        self._has_template = False

    @contextmanager
    def migrated(self) -> Iterator[str]:
        """The address of a fresh database with the whole schema."""
        self._migrate_template()
        with self._clone_of(_TEMPLATE) as url:
            yield url

    @contextmanager
    def empty(self) -> Iterator[str]:
        """The address of a fresh database without a table, for tests of the migrations themselves."""
        with self._clone_of(_EMPTY_TEMPLATE) as url:
            yield url

    @contextmanager
    def _clone_of(self, template: str) -> Iterator[str]:
        name = f"test_{next(self._numbers)}"
        self._administer(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield self._server.url_of(name)
        finally:
            self._administer(f"DROP DATABASE {name} WITH (FORCE)")

    def _migrate_template(self) -> None:
        if self._has_template:
            return
        from domain.db.migrate import migrate  # noqa: PLC0415 - tests without a database do not load the schema

        self._administer(f"DROP DATABASE IF EXISTS {_TEMPLATE} WITH (FORCE)")
        self._administer(f"CREATE DATABASE {_TEMPLATE}")
        migrate(self._server.url_of(_TEMPLATE))
        self._has_template = True

    def _administer(self, statement: str) -> None:
        self._server.run_sql(statement, database="postgres")
