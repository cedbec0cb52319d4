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


class CpuMeter:
    """CPU seconds of a process since the meter was made."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._began = cpu_seconds(pid)

    def read(self) -> float:
        """Seconds since then."""
        return cpu_seconds(self._pid) - self._began


@dataclass(frozen=True)
class Cores:
    """Where the server under test runs, and where everything else does."""

    server: int
    others: int

    @classmethod
    def of_this_machine(cls) -> "Cores":
        """The first two cores this process may use; on a single core both are the same, and figures are worth less."""
        allowed = sorted(os.sched_getaffinity(0))
        return cls(allowed[0], allowed[1] if len(allowed) > 1 else allowed[0])
