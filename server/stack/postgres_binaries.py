"""Finding and running PostgreSQL's programs: Debian and Ubuntu keep them off the PATH, one directory a version.

A new cluster takes the newest version that has PostGIS; an old cluster needs the version it was made with.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from server.stack.errors import StackError

_PLACES = (
    "usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "usr/pgsql-*/bin",  # PostgreSQL's own packages for Red Hat
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)
_WORK_SECONDS = 60
HOW_TO_INSTALL = (
    "run `make setup`, or install it by hand: `apt-get install postgresql-15-postgis-3` on Debian 12 "
    "(the number differs elsewhere: `apt-cache search postgis`), `brew install postgresql@17 postgis` on macOS"
)


@dataclass(frozen=True)
class Binaries:
    """One installed version of PostgreSQL."""

    directory: Path

    def __getitem__(self, program: str) -> str:
        return str(self.directory / program)

    @cached_property
    def major(self) -> int:
        """The major version, 15 for example."""
        return int(re.findall(r"\d+", self._ask("postgres", "--version"))[0])

    @cached_property
    def has_postgis(self) -> bool:
        """Whether the extension's files are installed for this version."""
        shared = Path(self._ask("pg_config", "--sharedir"))
        return (shared / "extension" / "postgis.control").exists()

    def _ask(self, program: str, option: str) -> str:
        return run([self[program], option], Path("/")).stdout.strip()


def find(major: int | None = None) -> Binaries:
    """The installed version `major`, or the newest that has PostGIS. Raises StackError when there is none."""
    installed = _installed()
    if not installed:
        raise StackError(f"PostgreSQL is not installed; {HOW_TO_INSTALL}")
    fitting = [version for version in installed if version.has_postgis and major in (None, version.major)]
    if fitting:
        return max(fitting, key=lambda version: version.major)
    if major is not None and major not in {version.major for version in installed}:
        raise StackError(
            f"the data was made by PostgreSQL {major}, which is not installed any more; install that version, "
            "or give up the data with `make clean`"
        )
    raise StackError(f"PostgreSQL is installed without PostGIS; {HOW_TO_INSTALL}")


def _installed() -> list[Binaries]:
    directories = [directory for place in _PLACES for directory in Path("/").glob(place)]
    on_path = shutil.which("postgres")
    if on_path is not None:
        directories.append(Path(on_path).resolve().parent)
    programs = ("initdb", "postgres", "psql", "pg_config")
    return [Binaries(place) for place in directories if all((place / program).exists() for program in programs)]


def environment() -> dict[str, str]:
    """Ours without PGHOST, PGSERVICE and the like, which are meant for other servers, and without a broken locale."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PG", "LC_", "LANG"))}
    return {**kept, "LC_ALL": "C"}


def run(
    command: list[str], directory: Path, *, timeout_seconds: float = _WORK_SECONDS
) -> subprocess.CompletedProcess[str]:
    """Run one of the programs in a directory that its user may enter. Raises subprocess.TimeoutExpired."""
    return subprocess.run(  # noqa: S603 - our own commands, no shell
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=directory,
        env=environment(),
        timeout=timeout_seconds,
    )
