"""CPU time and memory of another process, as exactly as the kernel keeps them (Linux)."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

_WHOLE_PROCESS = 0b010
"""CPUCLOCK_SCHED in <linux/posix-timers.h>: run time in nanoseconds, of all threads, those that ended too."""


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far. What `clock_getcpuclockid(3)` reads; `/proc` would round to 10 ms."""
    return time.clock_gettime(~pid << 3 | _WHOLE_PROCESS)


def memory_bytes(pid: int) -> int:
    """The process's share of the memory that it maps (PSS): pages shared with others count in part."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "Pss":
            return int(value.split()[0]) * 1024
    raise RuntimeError(f"the kernel does not tell the memory of process {pid}")


@dataclass(frozen=True)
class CpuTime:
    """What a process used: `seconds` in all, of which about `kernel_share` in system calls (10 ms exact)."""

    seconds: float
    kernel_share: float


class CpuMeter:
    """CPU time of a process since the meter was made."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began = cpu_seconds(pid)
        self._user_began, self._kernel_began = _ticks(pid)

    def read(self) -> CpuTime:
        """What was used since then."""
        user, kernel = _ticks(self._pid)
        user, kernel = user - self._user_began, kernel - self._kernel_began
        return CpuTime(cpu_seconds(self._pid) - self._began, kernel / max(1, user + kernel))


def _ticks(pid: int) -> tuple[int, int]:
    """User and system time as /proc has them, rounded; see proc_pid_stat(5)."""
    # The name before the other fields may hold spaces and brackets.
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]), int(fields[12])


@dataclass(frozen=True)
class Cores:
    """Where the server under test runs, and where everything else does."""

    server: frozenset[int]
    others: frozenset[int]

    @classmethod
    def of_this_machine(cls) -> "Cores":
        """The first two cores this process may use; on a single core both are the same, and figures are worth less."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(frozenset(allowed[:1]), frozenset(allowed[1:2] or allowed))

    def shared(self) -> "Cores":
        """Both for everything, where nothing has a core of its own."""
        both = self.server | self.others
        return Cores(both, both)
