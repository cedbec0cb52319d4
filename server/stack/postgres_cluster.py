"""The files of one PostgreSQL cluster: where they are, whom they belong to, how they are made and removed.

They are in `<directory>/cluster`. Where PostgreSQL's user cannot get at that (root, in a closed directory, without user
namespaces, as in many containers), `cluster` is a link to a directory of its own under /var/lib.
"""

import hashlib
import os
import secrets
import shutil
from functools import cached_property
from pathlib import Path

from server.stack import postgres_binaries, run_as
from server.stack.errors import StackError
from server.stack.postgres_binaries import Binaries
from server.stack.run_as import RunAs

USER = "throttlecove"
_ELSEWHERE = Path("/var/lib/throttlecove")


class Cluster:
    """A cluster below `directory`; with a `template` it is made as a copy of that one, which must not be running."""

    def __init__(self, directory: Path, template: "Cluster | None" = None) -> None:
        self._directory = directory
        self._template = template

    @property
    def place(self) -> Path:
        """The directory that belongs to PostgreSQL's user."""
        return self._link.resolve()

    @property
    def data(self) -> Path:
        """What PostgreSQL calls its data directory."""
        return self.place / "data"

    @property
    def exists(self) -> bool:
        """Whether it has been made."""
        return self.data.exists()

    @property
    def password(self) -> str:
        """The password of its only user. Raises StackError before the cluster is made."""
        try:
            return self._password_file.read_text().strip()
        except OSError as error:
            raise StackError(f"there is no PostgreSQL in {self._directory} yet; run `make stack`") from error

    @cached_property
    def binaries(self) -> Binaries:
        """The programs of the version that it was made with, or will be."""
        version = self.data / "PG_VERSION"
        return postgres_binaries.find(int(version.read_text()) if version.exists() else None)

    @property
    def _link(self) -> Path:
        return self._directory / "cluster"

    @property
    def _password_file(self) -> Path:
        return self._directory / "password"

    def settle(self) -> RunAs:
        """Make its place, and find the identity that can use it. Raises StackError when there is none."""
        self.place.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return run_as.choose(self.place, self.data)
        except StackError:
            if self.exists or self._link.is_symlink() or os.geteuid() != 0:
                raise
        shutil.rmtree(self.place)  # holds at most the leavings of an interrupted try
        digest = hashlib.sha256(str(self._directory).encode()).hexdigest()[:12]
        self._link.symlink_to(_ELSEWHERE / digest, target_is_directory=True)
        return self.settle()

    def make(self, identity: RunAs) -> None:
        """Make the cluster, or nothing: a try that was interrupted leaves no half of it."""
        unfinished = self.place / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        if self._template is None:
            self._initialise(unfinished, identity)
        else:
            self._copy(self._template, unfinished)
        unfinished.rename(self.data)

    def _initialise(self, target: Path, identity: RunAs) -> None:
        self._keep_password(secrets.token_urlsafe(24))
        for_initdb = self.place / "password"
        for_initdb.touch(mode=0o600)
        for_initdb.write_text(self.password)
        identity.own(for_initdb)
        options = ["--username", USER, "--pwfile", str(for_initdb), "--encoding=UTF8", "--locale=C", "--no-sync"]
        trust = ["--auth-local=trust", "--auth-host=scram-sha-256"]
        made = postgres_binaries.run(
            [*identity.prefix, self.binaries["initdb"], "-D", str(target), *options, *trust], self.place
        )
        for_initdb.unlink()
        if made.returncode != 0:
            raise StackError(f"initdb could not make a cluster in {self.place}: {made.stderr.strip()}")

    def _copy(self, template: "Cluster", target: Path) -> None:
        self._keep_password(template.password)
        copied = postgres_binaries.run(["cp", "-a", str(template.data), str(target)], self.place)
        if copied.returncode != 0:
            raise StackError(f"could not copy {template.data}: {copied.stderr.strip()}")

    def _keep_password(self, password: str) -> None:
        self._password_file.touch(mode=0o600)
        self._password_file.write_text(password)

    def remove(self) -> None:
        """Delete it, wherever it is."""
        shutil.rmtree(self.place, ignore_errors=True)
