"""What one device must have of a durable stream: every event once, in order, on each connection and over all of them.

Pure: what the device was sent goes in, what is wrong comes out. What arrives between the greeting and the answer of
`session:resume` is held until that answer has brought what came before it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Position:
    """Everything up to `seq` of this epoch."""

    epoch: str
    seq: int


class Follower:
    """One device and one stream, through all its connections."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.position: Position | None = None
        """What the device has; None until a stream was first begun."""
        self.received: dict[int, Any] = {}
        """The events that it has, by number."""
        self.first: int | None = None
        """The number behind which it began."""
        self.resuming = False
        self._expected: int | None = None
        self._on_connection: set[int] = set()
        self._held: list[dict[str, Any]] = []

    def connected(self) -> None:
        """A new connection, on which nothing was sent yet."""
        self._expected = None
        self._on_connection = set()
        self._held = []
        self.resuming = False

    def begins(self, epoch: str, head: int) -> bool:
        """The server says where the stream stands on this connection; whether the device has to resume it."""
        self._expected = head + 1
        if self.position is None:
            self.position = Position(epoch, head)
            self.first = head
        self.resuming = self.position != Position(epoch, head)
        return self.resuming

    def event(self, payload: Mapping[str, Any]) -> list[str]:
        """An event of the stream; what is wrong with it."""
        seq = int(payload["seq"])
        faults = self._faults_of(seq)
        self._on_connection.add(seq)
        self._expected = max(self._expected or 0, seq + 1)
        if self.resuming:
            self._held.append(dict(payload))
        else:
            faults += self._have(seq, payload)
        return faults

    def resumed(self, answer: Mapping[str, Any]) -> list[str]:
        """The answer of `session:resume` for this stream; what is wrong with it."""
        epoch, head = str(answer["epoch"]), int(answer["head"])
        held, self._held, self.resuming = self._held, [], False
        self._expected = head + 1
        if not answer["recovered"]:
            self.position = Position(epoch, head)
            return [f"{self.stream} was not recovered"]
        faults: list[str] = []
        for _, payload in answer.get("events") or ():
            seq = int(payload["seq"])
            if seq in self._on_connection:
                faults.append(f"{self.stream} {seq} came twice on a connection: by itself, and in the answer")
            self._on_connection.add(seq)
            faults += self._have(seq, payload)
        for payload in held:
            faults += self._have(int(payload["seq"]), payload)
        if self.position is not None and self.position.seq != head:
            faults.append(f"{self.stream} was resumed up to {head}, and {self.position.seq} is what came")
        return faults

    def _faults_of(self, seq: int) -> list[str]:
        if self._expected is None:
            return [f"{self.stream} {seq} came before it was said where the stream stands"]
        if seq in self._on_connection:
            return [f"{self.stream} {seq} came twice on a connection"]
        if seq < self._expected:
            return [f"{self.stream} {seq} came after {self._expected - 1}"]
        if seq > self._expected:
            return [f"{self.stream} {seq} came, and {self._expected} did not"]
        return []

    def _have(self, seq: int, payload: Mapping[str, Any]) -> list[str]:
        if self.position is None:
            return []
        value = payload.get("note") or payload.get("expires_at")
        if seq <= self.position.seq and self.received.get(seq, self) == value:
            return []  # another node was further when the device was there: it has it from an earlier connection
        faults = [] if seq == self.position.seq + 1 else [f"{self.stream} {seq} follows {self.position.seq}"]
        if seq > self.position.seq:
            self.position = Position(self.position.epoch, seq)
        self.received[seq] = value
        return faults

    def missing(self, truth: Mapping[int, Any]) -> list[str]:
        """What the device lacks, or has otherwise, of all events that there are."""
        first = self.first if self.first is not None else 0
        wanted = {seq: value for seq, value in truth.items() if seq > first}
        lacks = sorted(wanted.keys() - self.received.keys())
        other = sorted(seq for seq, value in self.received.items() if seq not in truth or truth[seq] != value)
        told = {"lacks": lacks, "has, and not as they were written,": other}
        return [f"{self.stream}: a device {what} {_some(seqs)}" for what, seqs in told.items() if seqs]


def _some(seqs: Sequence[int]) -> str:
    return f"{', '.join(map(str, seqs[:10]))}{' …' if len(seqs) > 10 else ''}"
