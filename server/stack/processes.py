"""Server processes that outlive the program that starts them: spawned in a session of their own, known by their pid.

Promises that a pid is only ever signalled after a look at its command line, because a recorded pid may by now belong
to somebody else's program. Leaves to the servers what they run and how they are asked to end.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PROC = Path("/proc")
_POLL_SECONDS = 0.005
_STATE_FIELD = 0
_PARENT_FIELD = 1
_THREADS_FIELD = 17


def spawn(
    command: Sequence[str],
    *,
    directory: Path,
    log: Path,
    environment: Mapping[str, str],
    dies_by: signal.Signals | None,
) -> int:
    """Start `command` detached from our terminal, with its output appended to `log`; return its pid.

    It is in its own session, so that Ctrl-C here does not reach it. With `dies_by` it gets that signal when the thread
    that started it ends (for tests, on Linux).
    """
    # `exec` keeps the pid through every wrapper; the working directory must be one that the server's user may enter.
    argv = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', str(directory), *_tied_to_us(dies_by), *command]
    return os.posix_spawn(
        argv[0],
        argv,
        dict(environment),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
    )


def _tied_to_us(dies_by: signal.Signals | None) -> list[str]:
    # The kernel ties the child to the thread that made it, so only the main thread's life is worth tying it to.
    in_main_thread = threading.current_thread() is threading.main_thread()
    if dies_by is None or not in_main_thread or shutil.which("setpriv") is None:
        return []
    return ["setpriv", "--pdeathsig", dies_by.name.removeprefix("SIG"), "--"]


def is_alive(pid: int) -> bool:
    """Whether a process with this pid runs; one that has ended and waits to be reaped does not."""
    with contextlib.suppress(ChildProcessError):  # when it is not our child, its parent reaps it
        os.waitpid(pid, os.WNOHANG)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return not _has_ended(pid)


def runs(pid: int, marker: str) -> bool:
    """Whether the live process `pid` has `marker` among its arguments, that is: whether it is the server we think."""
    return is_alive(pid) and any(marker in argument for argument in _arguments(pid))


def runs_command(pid: int, command: Sequence[str]) -> bool:
    """Whether the live process `pid` was started by this command; how its program is called may differ."""
    return is_alive(pid) and " ".join(command[1:]) in " ".join(_arguments(pid))


def family(pid: int) -> list[int]:
    """`pid` and all its descendants, parents first."""
    parents = _parents()
    found = [pid]
    for member in found:
        found += [child for child, parent in parents.items() if parent == member]
    return found


def working_in(directory: Path) -> list[int]:
    """The processes whose working directory is this one (none where there is no /proc)."""
    if not _PROC.is_dir():
        return []
    return [pid for pid in _pids() if _working_directory(pid) == str(directory)]


def send(pids: Sequence[int], number: signal.Signals) -> None:
    """Send a signal to each process that is still there."""
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def kill_family(pid: int) -> None:
    """End a server and its children without any chance to clean up, and wait until they are gone."""
    send([pid], signal.SIGSTOP)  # it must not fork between the look and the blow
    members = family(pid)
    send(members, signal.SIGKILL)
    wait_until(lambda: not any(map(is_alive, members)), timeout_seconds=10)


def stop_family(pid: int) -> None:
    """Freeze a server and its children, and wait until none of them runs."""
    send([pid], signal.SIGSTOP)
    members = family(pid)
    send(members, signal.SIGSTOP)
    wait_until(lambda: all(_state(member) in {"T", "t", "Z", ""} for member in members), timeout_seconds=10)


def wait_until(condition: Callable[[], bool], *, timeout_seconds: float) -> bool:
    """Poll until the condition holds; False when it still does not after the timeout."""
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def _has_ended(pid: int) -> bool:
    """Whether nothing but an entry in the process table is left.

    The first thread may have ended while others still hold the files and ports.
    """
    if not _PROC.is_dir():
        return _state(pid) in {"Z", ""}
    fields = _stat_fields(pid)
    return not fields or (fields[_STATE_FIELD] in {"Z", "X"} and int(fields[_THREADS_FIELD]) <= 1)


def _state(pid: int) -> str:
    """The scheduler's letter for the process (`T` stopped, `Z` ended), empty when it is gone."""
    if _PROC.is_dir():
        fields = _stat_fields(pid)
        return fields[_STATE_FIELD] if fields else ""
    return _ps("-o", "stat=", "-p", str(pid)).strip()[:1]


def _arguments(pid: int) -> list[str]:
    if _PROC.is_dir():
        try:
            return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            return []
    return [_ps("-ww", "-o", "command=", "-p", str(pid))]


def _parents() -> dict[int, int]:
    """The parent of every process."""
    if _PROC.is_dir():
        return {pid: int(fields[_PARENT_FIELD]) for pid in _pids() if (fields := _stat_fields(pid))}
    rows = [line.split() for line in _ps("-ax", "-o", "pid=,ppid=").splitlines()]
    return {int(pid): int(parent) for pid, parent in rows}


def _pids() -> list[int]:
    return [int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()]


def _working_directory(pid: int) -> str:
    try:
        return str((_PROC / str(pid) / "cwd").readlink())
    except OSError:
        return ""


def _stat_fields(pid: int) -> list[str]:
    """The fields of /proc/<pid>/stat from the state on; the name before them may hold spaces and brackets."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _ps(*arguments: str) -> str:
    # Only where there is no /proc (macOS); the arguments are ours.
    return subprocess.run(["/bin/ps", *arguments], capture_output=True, text=True, check=False).stdout  # noqa: S603
