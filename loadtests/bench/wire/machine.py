"""What figures depend on beside the code: the machine and the versions of what was measured."""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from loadtests.bench.wire import nodejs
from loadtests.bench.wire.measuring import Cores
from loadtests.bench.wire.workspace import compiler_version
from server.version import VERSION

_PACKAGES = ("python-socketio", "python-engineio", "uvicorn", "uvloop", "websockets", "msgspec")


def describe(cores: Cores) -> dict[str, Any]:
    """The machine and the versions, for the report."""
    return {
        "machine": {
            "processor": _processor(),
            "cores": _cores(),
            "server on core": min(cores.server),
            "everything else on core": min(cores.others),
            "kernel": platform.release(),
        },
        "versions": {
            "throttlecove": VERSION,
            "python": platform.python_version(),
            **{name: version(name) for name in _PACKAGES},
            **nodejs.versions(),
            "gcc": compiler_version(),
        },
    }


def _cores() -> int:
    return len([line for line in _cpu_lines() if line.startswith("processor")])


def _processor() -> str:
    names = [line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _cpu_lines() -> list[str]:
    return Path("/proc/cpuinfo").read_text().splitlines()
