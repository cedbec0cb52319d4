"""What the benchmark needs made beforehand: its C programs compiled, and a directory for logs and lists."""

import contextlib
import hashlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[2]
BUILT = _ROOT / ".data" / "bench"
_PROGRAMS = {
    "generator": ("generator.c", "clients.c", "load.c", "sight.c", "templates.c"),
    "floor": ("floor.c",),
}
_FLAGS = ("-O2", "-std=gnu11", "-Wall", "-Wextra")


class Missing(Exception):
    """Something the benchmark needs is not on this machine; the message says how to get it."""


@dataclass(frozen=True)
class Workspace:
    """Where the programs are, and a directory that goes when the benchmark ends."""

    directory: Path
    generator: Path
    floor: Path


@contextlib.contextmanager
def workspace() -> Iterator[Workspace]:
    """Compile what is not compiled yet. Raises Missing."""
    if sys.platform != "linux":
        raise Missing("this benchmark needs Linux: it keeps to cores, and reads CPU time and memory off the kernel")
    BUILT.mkdir(parents=True, exist_ok=True)
    programs = {name: _compiled(name, sources) for name, sources in _PROGRAMS.items()}
    with tempfile.TemporaryDirectory(prefix="throttlecove-wire-") as directory:
        yield Workspace(Path(directory), programs["generator"], programs["floor"])


def compiler_version() -> str:
    """What compiled the C programs."""
    return first_line(["gcc", "--version"])


def _compiled(name: str, sources: tuple[str, ...]) -> Path:
    """The program, named for what it was made of, so that another checkout's is never taken for it."""
    parts = [*sources, "generator.h"]
    digest = hashlib.sha256(b"".join((_HERE / "c" / part).read_bytes() for part in parts)).hexdigest()[:12]
    program = BUILT / f"{name}-{digest}"
    if not program.exists():
        gcc = _find("gcc", "install it: `apt-get install gcc libc6-dev`")
        unfinished = program.with_suffix(".unfinished")
        command = [gcc, *_FLAGS, "-o", str(unfinished), *(str(_HERE / "c" / source) for source in sources)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        unfinished.replace(program)
    return program


def _find(program: str, otherwise: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise Missing(f"{program} is missing; {otherwise}")
    return found


def first_line(command: list[str]) -> str:
    """What a command prints first."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[0]
