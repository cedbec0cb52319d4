"""Server processes of a benchmark: started on cores of their own, and gone with the benchmark whatever ends it."""

import contextlib
import os
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

_READY_SECONDS = 60.0
_STOP_SECONDS = 15.0
_LOOK_SECONDS = 0.02
_LOG_LINES = 20


class DidNotStart(Exception):
    """A server did not come up, or ended; the message has the end of its log."""


class Child:
    """One process that keeps to some cores, its output in a file."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        cores: Iterable[int],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self._log = log
        self._cores = frozenset(cores)
        # The kernel kills it when this program ends, however that happens.
        tied = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        self._command = [*tied, *command]
        self._environment = {**os.environ, **(environment or {})}
        self.start()

    def start(self) -> None:
        """Start it: done when it is made, and to be done again after it has ended."""
        with self._log.open("ab") as out, on_cores(self._cores):
            self._process = subprocess.Popen(
                self._command,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the benchmark, which ends the others
            )

    @property
    def pid(self) -> int:
        """The process."""
        return self._process.pid

    def check(self) -> None:
        """Raise DidNotStart when it has ended."""
        if self._process.poll() is not None:
            lines = self._log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
            raise DidNotStart(f"{self.name} ended with status {self._process.returncode}:\n" + "\n".join(lines))

    def wait_until_serving(self, url: str) -> None:
        """Return when the address answers with anything below 500. Raises DidNotStart."""
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            self.check()
            if answers(url):
                return
            time.sleep(_LOOK_SECONDS)
        raise DidNotStart(f"{self.name} does not answer at {url}")

    def stop(self) -> None:
        """Ask it to end, and insist after a while."""
        if self._process.poll() is None:
            self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it at once: nothing of it is needed any more."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()


@contextlib.contextmanager
def on_cores(cores: Iterable[int]) -> Iterator[None]:
    """What is started within keeps to these cores; the caller goes back to its own."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def answers(url: str) -> bool:
    """Whether a server is there and says anything below 500."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
    except urllib.error.HTTPError as answer:
        return answer.code < 500
    except (OSError, ValueError):
        return False
    return True
