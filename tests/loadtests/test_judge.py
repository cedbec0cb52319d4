"""The verdict finds what is lost, twice or changed, and computes distance and flags by itself."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from pyproj import Geod

from loadtests.replay.judge import Row, TrackRow, Verdict, fastest_as_written_kmh, fastest_kmh, judge
from loadtests.replay.ledger import Ledger, Sighting, Unseen
from loadtests.replay.report import Outcome, live_figures, summary
from loadtests.replay.sources.tracks import Fix, Track

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_START = 1_714_557_600_000


def _fixes(count: int = 10) -> tuple[Fix, ...]:
    return tuple(Fix(seq, _START + seq * 1000, 46.5 + seq * 1e-4, 11.3, 2000.1) for seq in range(count))


def _ledger(fixes: tuple[Fix, ...] | None = None) -> Ledger:
    ledger = Ledger(Track("a.gpx", fixes or _fixes()), UUID(int=7), "rider 1")
    for fix in ledger.track.fixes:
        ledger.sent(fix.seq)
        ledger.acknowledged(fix.seq)
    return ledger


def _row(fix: Fix, flags: int = 0) -> Row:
    altitude = fix.altitude
    return Row(fix.seq, _EPOCH + timedelta(milliseconds=fix.timestamp), fix.latitude, fix.longitude, altitude, flags)


def _rows(ledger: Ledger) -> list[Row]:
    return [_row(fix) for fix in ledger.track.fixes]


def _length(fixes: tuple[Fix, ...]) -> float:
    return float(Geod(ellps="WGS84").line_length([fix.longitude for fix in fixes], [fix.latitude for fix in fixes]))


def _verdict(ledger: Ledger, rows: list[Row]) -> Verdict:
    return judge(ledger, rows, TrackRow(True, _length(ledger.track.fixes)))


def test_a_faithful_copy_is_sound() -> None:
    ledger = _ledger()
    verdict = _verdict(ledger, _rows(ledger))
    assert verdict.sound
    assert verdict.distance_error_pct < 1e-9
    assert (verdict.flagged_pct, verdict.without_outliers) == (0.0, True)


def test_an_acknowledged_fix_that_is_gone_is_missing() -> None:
    ledger = _ledger()
    rows = _rows(ledger)
    del rows[4]
    verdict = _verdict(ledger, rows)
    assert verdict.missing == (4,)
    assert not verdict.sound


def test_the_same_number_twice_and_the_same_fix_under_another_number_are_duplicates() -> None:
    ledger = _ledger()
    rows = _rows(ledger)
    verdict = _verdict(ledger, [*rows, rows[3], rows[5]._replace(seq=77)])
    assert verdict.duplicates == (3, 77)
    assert not verdict.sound


def test_a_row_nobody_sent_is_unexpected() -> None:
    ledger = _ledger()
    verdict = _verdict(ledger, [*_rows(ledger), _row(_fixes()[0])._replace(seq=99, latitude=1.0)])
    assert verdict.unexpected == (99,)
    assert not verdict.sound


@pytest.mark.parametrize(
    "change",
    [{"latitude": 46.50000000001}, {"longitude": 11.3000001}, {"altitude": None}, {"timestamp": _EPOCH}],
)
def test_any_changed_value_is_different(change: dict[str, object]) -> None:
    ledger = _ledger()
    rows = _rows(ledger)
    rows[2] = rows[2]._replace(**change)  # type: ignore[arg-type]
    verdict = _verdict(ledger, rows)
    assert verdict.different == (2,)
    assert not verdict.sound


def test_what_was_sent_without_an_answer_may_be_there_or_not() -> None:
    ledger = _ledger()
    ledger.states[9] = 1
    assert _verdict(ledger, _rows(ledger)).sound
    assert _verdict(ledger, _rows(ledger)[:9]).sound


def test_what_was_refused_must_not_be_there() -> None:
    ledger = _ledger()
    ledger.refused(9, "invalid")
    assert not _verdict(ledger, _rows(ledger)).sound
    assert _verdict(ledger, _rows(ledger)[:9]).sound


def test_a_track_that_was_not_finished_is_not_sound() -> None:
    ledger = _ledger()
    assert not judge(ledger, _rows(ledger), TrackRow(False, _length(_fixes()))).sound
    assert not judge(ledger, _rows(ledger), None).sound


def test_distance_is_over_unflagged_fixes_in_time_order() -> None:
    fixes = list(_fixes())
    fixes[4] = fixes[4]._replace(latitude=50.0)
    fixes[7] = fixes[7]._replace(timestamp=_START + 1500)
    ledger = _ledger(tuple(fixes))
    rows = _rows(ledger)
    rows[4] = rows[4]._replace(flags=4)
    order = tuple(fixes[seq] for seq in (0, 1, 7, 2, 3, 5, 6, 8, 9))
    verdict = judge(ledger, rows, TrackRow(True, _length(order)))
    assert verdict.distance_error_pct < 1e-9
    assert judge(ledger, rows, TrackRow(True, _length(order) * 1.01)).distance_error_pct == pytest.approx(1.0)


def test_standing_and_repeated_count_by_themselves() -> None:
    ledger = _ledger()
    rows = [
        row._replace(flags=flags) for row, flags in zip(_rows(ledger), (0, 8, 16, 24, 4, 12, 1, 2, 32, 0), strict=True)
    ]
    verdict = _verdict(ledger, rows)
    assert (verdict.flagged, verdict.standing, verdict.repeated) == (5, 3, 2)
    assert verdict.flagged_pct == 50.0


def test_speeds_are_implied_over_at_least_a_second() -> None:
    jitter = [Fix(seq, _START + seq * 40, 46.5 + (seq % 2) * 1e-4, 11.3) for seq in range(100)]
    assert fastest_kmh(jitter) < 50, "at 25 Hz a step of 11 m in 40 ms is noise"
    assert fastest_kmh(_fixes()) == pytest.approx(40, rel=0.01)
    assert fastest_kmh([Fix(0, _START, 46.0, 11.0), Fix(1, _START, 47.0, 11.0)]) == 0.0
    assert fastest_kmh([]) == 0.0


def test_a_clock_that_was_set_back_is_no_outlier() -> None:
    far = [fix._replace(seq=fix.seq + 10, latitude=fix.latitude + 3) for fix in _fixes()]
    assert fastest_kmh([*_fixes(), *far]) > 300, "in time order the two rides interleave"
    assert fastest_as_written_kmh([*_fixes(), *far]) == pytest.approx(40, rel=0.01)
    assert fastest_as_written_kmh([]) == 0.0


def test_a_track_with_a_teleport_does_not_count_for_the_flagged_share() -> None:
    fixes = list(_fixes())
    fixes[4] = fixes[4]._replace(latitude=50.0)
    ledger = _ledger(tuple(fixes))
    rows = _rows(ledger)
    rows[4] = rows[4]._replace(flags=4)
    verdict = _verdict(ledger, rows)
    assert not verdict.without_outliers
    assert verdict.fastest_kept < 100
    assert Outcome(1, [ledger], [verdict]).flagged_max_pct == 0.0


def test_live_figures_leave_out_what_was_never_shown_and_say_why() -> None:
    ledger = _ledger()
    ledger.sightings = [
        Sighting(0, 1.0, watched=True, older=False, seen_at=1.2, acknowledged=True),
        Sighting(1, 2.0, watched=True, older=False, seen_at=2.4, conflated=True, acknowledged=True),
        Sighting(2, 3.0, watched=True, older=False, seen_at=9.0, conflated=True, acknowledged=True),
        Sighting(3, 4.0, watched=False, older=False, acknowledged=True),
        Sighting(4, 5.0, watched=True, older=True, acknowledged=True),
        Sighting(5, 6.0, watched=True, older=False),
        Sighting(6, 7.0, watched=True, older=False, acknowledged=True),
        Sighting(7, 8.0, watched=True, older=False, acknowledged=True),
    ]
    ledger.stopping_at = 8.1
    rows = _rows(ledger)
    rows[2] = rows[2]._replace(flags=4)
    latencies, unseen = live_figures([ledger], [_verdict(ledger, rows)])
    assert latencies == pytest.approx([0.2, 0.4])
    reasons = (Unseen.FLAGGED, Unseen.AWAY, Unseen.OLDER, Unseen.REFUSED, Unseen.NEVER, Unseen.STOPPED)
    assert unseen == dict.fromkeys(reasons, 1)


def test_the_summary_begins_with_the_agreed_fields() -> None:
    ledger = _ledger()
    outcome = Outcome(1, [ledger], [_verdict(ledger, _rows(ledger))], pending_at_kill=3)
    assert outcome.sound
    assert list(summary(outcome))[:11] == [
        "riders",
        "fixes_sent",
        "fixes_acked",
        "fixes_stored",
        "fixes_flagged",
        "flagged_max_pct",
        "duplicates",
        "missing",
        "pending_at_kill",
        "distance_error_max_pct",
        "latency_ms",
    ]
    assert summary(outcome)["latency_ms"] == {"p50": None, "p99": None}


def test_a_run_that_stored_nothing_is_not_sound() -> None:
    assert not Outcome(1, [], []).sound
