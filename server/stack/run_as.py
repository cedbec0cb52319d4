"""Who PostgreSQL runs as: it refuses root, so root must lend it another identity that can still reach its directory.

In order: a user namespace in which root's files seem to belong to an ordinary user (works under `/root`, needs no
second user), the owner of the clone, the system's `postgres` or `nobody`. A cluster keeps the owner it was made with.
"""

import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from server.stack.errors import StackError

_MAPPED_ID = 1000


@dataclass(frozen=True)
class RunAs:
    """The owner that the files must have, and the command that takes on the identity."""

    uid: int
    gid: int
    prefix: tuple[str, ...] = ()

    def own(self, path: Path) -> None:
        """Give a file to this identity."""
        if path.stat().st_uid != self.uid:
            os.chown(path, self.uid, self.gid)

    def can_use(self, directory: Path) -> bool:
        """Whether a process of this identity can enter the directory and write in it."""
        if self.prefix and shutil.which(self.prefix[0]) is None:
            return False
        command = [*self.prefix, "/bin/sh", "-c", 'cd "$0" && test -w .', str(directory)]
        return subprocess.run(command, capture_output=True, cwd="/", check=False).returncode == 0  # noqa: S603 - ours


def choose(directory: Path, cluster: Path) -> RunAs:
    """The identity for a cluster in `directory`, which is made its own. Raises StackError when there is none."""
    if os.geteuid() != 0:
        return _ourselves(cluster if cluster.exists() else directory)
    candidates = [_of_existing(cluster.stat())] if cluster.exists() else _for_new(directory)
    for candidate in candidates:
        candidate.own(directory)
        if candidate.can_use(directory):
            return candidate
    raise StackError(
        f"PostgreSQL does not run as root, and no other identity can use {directory}. "
        "Work in a directory that every user may enter, or as a normal user, or allow user namespaces (unshare)."
    )


def _ourselves(path: Path) -> RunAs:
    owner = path.stat().st_uid
    if owner != os.geteuid():
        raise StackError(
            f"{path} belongs to another user (uid {owner}); "
            "run this as that user, or give up what it holds with `sudo make clean`"
        )
    return RunAs(os.geteuid(), os.getegid())


def _of_existing(status: os.stat_result) -> RunAs:
    return _mapped() if status.st_uid == 0 else _switched(status.st_uid, status.st_gid)


def _for_new(directory: Path) -> list[RunAs]:
    found = [_mapped()]
    above = [parent.stat() for parent in directory.parents]
    found += [_switched(owner.st_uid, owner.st_gid) for owner in above if owner.st_uid != 0][:1]
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        found.append(_switched(entry.pw_uid, entry.pw_gid))
    return found


def _mapped() -> RunAs:
    return RunAs(0, 0, ("unshare", f"--map-user={_MAPPED_ID}", f"--map-group={_MAPPED_ID}", "--"))


def _switched(uid: int, gid: int) -> RunAs:
    return RunAs(uid, gid, ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", "--"))
