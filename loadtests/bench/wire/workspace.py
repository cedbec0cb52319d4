"""What the benchmark needs made beforehand: C programs compiled, Node's packages installed, a directory for logs."""

import contextlib
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_ROOT = _HERE.parents[2]
_BUILT = _ROOT / ".data" / "bench"
_PROGRAMS = {
    "generator": ("generator.c", "clients.c", "load.c", "templates.c"),
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
    _BUILT.mkdir(parents=True, exist_ok=True)
    programs = {name: _compiled(name, sources) for name, sources in _PROGRAMS.items()}
    with tempfile.TemporaryDirectory(prefix="throttlecove-wire-") as directory:
        yield Workspace(Path(directory), programs["generator"], programs["floor"])


def compiler_version() -> str:
    """What compiled the C programs."""
    return _first_line(["gcc", "--version"])


def node_command() -> list[str]:
    """Node with the pinned packages beside its script, installed on the first call. Raises Missing."""
    node = _find("node", "run `make setup`, or install Node 20 or newer from https://nodejs.org")
    directory = _BUILT / "node"
    lock = (_HERE / "node" / "package-lock.json").read_bytes()
    if not (directory / "installed").exists() or (directory / "installed").read_bytes() != lock:
        _install(directory, lock)
    # Node looks for packages beside the script, and the checkout stays free of them.
    shutil.copy(_HERE / "node" / "server.js", directory)
    return [node, "--expose-gc", str(directory / "server.js")]


def node_version() -> str:
    """Node's version."""
    return _first_line([_find("node", "run `make setup`"), "--version"])


def node_packages() -> dict[str, str]:
    """The pinned packages that the script itself asks for."""
    pinned: dict[str, str] = json.loads((_HERE / "node" / "package.json").read_text())["dependencies"]
    return pinned


def _install(directory: Path, lock: bytes) -> None:
    npm = _find("npm", "install Node 20 or newer with npm: https://nodejs.org")
    print("installing Node's socket.io (npm ci)", file=sys.stderr)
    directory.mkdir(exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_HERE / "node" / name, directory)
    done = subprocess.run(
        [npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"],
        cwd=directory, check=False, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode != 0:
        raise Missing(f"npm ci failed in {directory}:\n{done.stderr.strip()[-2000:]}")
    (directory / "installed").write_bytes(lock)


def _compiled(name: str, sources: tuple[str, ...]) -> Path:
    """The program, named for what it was made of, so that another checkout's is never taken for it."""
    parts = [*sources, "generator.h"]
    digest = hashlib.sha256(b"".join((_HERE / "c" / part).read_bytes() for part in parts)).hexdigest()[:12]
    program = _BUILT / f"{name}-{digest}"
    if not program.exists():
        gcc = _find("gcc", "install it: `apt-get install gcc libc6-dev`, or Xcode's command line tools")
        unfinished = program.with_suffix(".unfinished")
        command = [gcc, *_FLAGS, "-o", str(unfinished), *(str(_HERE / "c" / source) for source in sources)]
        subprocess.run(command, check=True, stdout=sys.stderr)
        unfinished.replace(program)
    return program


def _find(program: str, otherwise: str) -> str:
    chosen_by_setup = _ROOT / ".data" / "tools" / program
    found = shutil.which(program) or (str(chosen_by_setup) if chosen_by_setup.exists() else None)
    if found is None:
        raise Missing(f"{program} is missing; {otherwise}")
    return found


def _first_line(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[0]
