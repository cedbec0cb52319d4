"""An import takes turns with the phones, and what is not kept is not called kept."""

from collections.abc import AsyncIterator, Sequence
from uuid import UUID, uuid4

import pytest

from domain.kit.clock import SystemClock
from domain.kit.errors import Conflict, Unavailable
from domain.kit.tasks import TaskOwner
from domain.tracks.entries import Fixes, Record, Started, Stopped, decode_records
from domain.tracks.files.importing import FIXES_AT_ONCE, TrackImporter
from domain.tracks.ownership import Claim, Ownership
from domain.tracks.recorder import Recorder

RIDER = uuid4()


class Log:
    """A track log in memory; it notes how much was before the recorder, and may fail once."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.weights: list[int] = []
        self.fails_at: int | None = None
        self.claims: dict[UUID, bytes] = {}

    async def append(self, entries: Sequence[bytes]) -> None:
        records = [record for entry in entries for record in decode_records(entry)]
        self.weights.append(sum(len(record.rows) for record in records if isinstance(record, Fixes)))
        if len(self.weights) == self.fails_at:
            raise Unavailable("away")
        self.records += records

    async def claim_track(self, track_id: UUID, claim: bytes) -> bytes:
        return self.claims.setdefault(track_id, claim)

    async def read_claim(self, track_id: UUID) -> bytes | None:
        return self.claims.get(track_id)

    async def forget_claim(self, track_id: UUID) -> None:
        self.claims.pop(track_id, None)


class Stored:
    """What Postgres knows: who owns which track, and that none was deleted."""

    def __init__(self) -> None:
        self.owner: tuple[UUID, int] | None = None

    async def owner_of(self, _track_id: UUID) -> tuple[UUID, int] | None:
        return self.owner

    async def is_deleted(self, _track_id: UUID) -> bool:
        return False


async def document(points: int) -> AsyncIterator[bytes]:
    yield b"<gpx><trk><trkseg>"
    for i in range(points):
        yield b'<trkpt lat="45" lon="9"><time>2015-01-01T%02d:%02d:%02dZ</time></trkpt>' % (
            i // 3600,
            i // 60 % 60,
            i % 60,
        )
    yield b"</trkseg></trk></gpx>"


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def stored() -> Stored:
    return Stored()


@pytest.fixture
async def importer(log: Log, stored: Stored) -> AsyncIterator[TrackImporter]:
    recorder = Recorder(log, SystemClock(), tick_seconds=0.001, pending_limit=100_000)
    async with TaskOwner("test") as tasks:
        tasks.start(recorder.run(), "recorder")
        yield TrackImporter(Ownership(log, stored), recorder, stored, SystemClock())


async def test_an_import_is_what_a_phone_would_have_sent(importer: TrackImporter, log: Log) -> None:
    imported = await importer.import_gpx(RIDER, document(12_000))
    started, *fixes, stopped = log.records
    assert isinstance(started, Started)
    assert isinstance(stopped, Stopped)
    assert (started.started_at_ms, stopped.last_seq, stopped.lost) == (1420070400000, 11_999, [])
    rows = [row for record in fixes if isinstance(record, Fixes) for row in record.rows]
    assert [row[0] for row in rows] == list(range(12_000))
    assert {record.track_id for record in log.records} == {imported.tracks[0].track_id}
    assert {record.user_id for record in log.records} == {RIDER}


async def test_never_more_than_a_part_is_before_the_recorder(importer: TrackImporter, log: Log) -> None:
    await importer.import_gpx(RIDER, document(12_000))
    assert sum(log.weights) == 12_000
    assert max(log.weights) <= FIXES_AT_ONCE


async def test_what_is_not_kept_is_unavailable_and_sent_again_is_the_same(importer: TrackImporter, log: Log) -> None:
    log.fails_at = 2
    with pytest.raises(Unavailable):
        await importer.import_gpx(RIDER, document(12_000))
    assert not any(isinstance(record, Stopped) for record in log.records)
    half = {record.track_id for record in log.records}
    imported = await importer.import_gpx(RIDER, document(12_000))
    assert half == {imported.tracks[0].track_id}
    assert isinstance(log.records[-1], Stopped)


async def test_a_track_of_somebody_else_is_not_written_to(importer: TrackImporter, log: Log, stored: Stored) -> None:
    stored.owner = (uuid4(), 202601)
    with pytest.raises(Conflict):
        await importer.import_gpx(RIDER, document(10))
    assert not log.records


async def test_the_month_is_that_of_the_claim(importer: TrackImporter, log: Log, stored: Stored) -> None:
    stored.owner = Claim(RIDER, 202001).user_id, 202001
    await importer.import_gpx(RIDER, document(10))
    assert {record.month for record in log.records} == {202001}
