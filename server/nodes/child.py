"""One node as its parent sees it: a process of its own, which says when it listens."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable, Sequence

from server.nodes.lifeline import LISTENS


class Child:
    """A node that is begun, ends, and is begun again."""

    def __init__(self, name: str, command: Callable[[int], Sequence[str]]) -> None:
        """`command` is given the descriptor of the child's end of its lifeline."""
        self.name = name
        self._command = command
        self._process: asyncio.subprocess.Process | None = None
        self._lifeline: socket.socket | None = None
        self._served_since: float | None = None
        self._told = False
        """Whether this process was sent a signal."""

    @property
    def pid(self) -> int | None:
        """Of the process that runs, or ran last."""
        return None if self._process is None else self._process.pid

    @property
    def runs(self) -> bool:
        """Whether there is a process."""
        return self._process is not None and self._process.returncode is None

    @property
    def serves(self) -> bool:
        """Whether it has said that it listens, and runs."""
        return self.runs and self._served_since is not None

    @property
    def ended_well(self) -> bool:
        """Whether it was never begun, or ended without complaint; who is told before it can listen just ends."""
        return self._process is None or self._process.returncode in (0, -signal.SIGTERM, -signal.SIGINT)

    @property
    def end(self) -> str:
        """How it has ended, for people."""
        status = None if self._process is None else self._process.returncode
        if status is None:
            return "has not ended"
        if status < 0:
            return f"was ended by {signal.Signals(-status).name}"
        return f"ended with status {status}" + ("" if self._served_since else " before it listened")

    async def begin(self) -> bool:
        """Start the process; True once it listens, False when it ends before."""
        self._served_since = None
        self._told = False
        ours, its = socket.socketpair()
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command(its.fileno()),
                pass_fds=[its.fileno()],
                process_group=0,  # Ctrl-C comes from the parent, as any signal
            )
        finally:
            its.close()
            self._let_go()
            self._lifeline = ours
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            if await loop.sock_recv(ours, len(LISTENS)) == LISTENS:
                self._served_since = loop.time()
                return True
        await self._process.wait()
        return False

    async def ended(self) -> float:
        """Wait for its end; for how long it has served, in seconds."""
        if self._process is None:
            return 0.0
        await self._process.wait()
        self._let_go()
        since = self._served_since
        return 0.0 if since is None else asyncio.get_running_loop().time() - since

    def send(self, number: int) -> None:
        """A signal, if it runs."""
        if self.runs and self._process is not None:
            self._told = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    def stop(self) -> None:
        """Have it end, unless it was told to."""
        if not self._told:
            self.send(signal.SIGTERM)

    def _let_go(self) -> None:
        if self._lifeline is not None:
            self._lifeline.close()
            self._lifeline = None
