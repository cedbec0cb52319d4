"""The demonstration as its users run it: killed, started again, and stopped by somebody impatient."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from server import stack
from server.demo.record import Entry, Record
from server.stack.ports import free_port
from tests.e2e.processes import Process
from tests.support import eventually

START_SECONDS = 60


class Demo(Process):
    """`python -m server demo` with one rider."""

    def __init__(self, directory: Path, log: str) -> None:
        self.directory = directory / "data"
        self.port = free_port()
        self.arguments = ["server", "demo", "--dir", str(self.directory), "--riders", "1", "--port"]
        super().__init__([*self.arguments, str(self.port)], {}, directory / log)

    async def says(self, words: str) -> None:
        def said() -> bool:
            ran = self.runs  # before the look: what it said last may come with its end
            found = words in self.log.read_text()
            if not found and not ran:
                raise RuntimeError(f"it ended:\n{self.tail()}")
            return found

        await eventually(said, timeout=START_SECONDS)

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.kill(self.pid, signal.SIGINT)

    def parts(self) -> list[Entry]:
        return Record(self.directory).read()[1:]


def refusal(demo: Demo, port: int) -> str:
    """What another one says on standard error that is started from the same directory."""
    command = [sys.executable, "-m", *demo.arguments, str(port)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=START_SECONDS, check=False)
    assert ended.returncode == 1
    return ended.stderr


@pytest.mark.timeout(300)
async def test_it_outlives_a_kill_and_stops_for_the_impatient(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "demo.log")
    try:
        demo.start()
        await demo.says("ThrottleCove is running.")
        first = demo.parts()
        assert [part.name for part in first if part.runs] == ["server", "worker", "riders"]
        assert f"runs already from {demo.directory} (pid {demo.pid})" in refusal(demo, free_port())

        demo.kill()
        demo.log = tmp_path / "again.log"
        demo.start()
        await demo.says("ThrottleCove is running.")
        second = demo.parts()
        assert not any(part.runs for part in first), "a killed demonstration takes its parts along"

        demo.interrupt()
        await demo.says("stopping the server, the worker, the riders")
        demo.interrupt()
        assert demo.end() == 0
        assert not any(part.runs for part in second)
        assert [server.pid for server in stack.status(demo.directory)] == [None, None]
        assert demo.log.read_text().splitlines()[-1].startswith("· stopped")
    finally:
        if demo.runs:
            demo.kill()
        stack.remove(demo.directory)
