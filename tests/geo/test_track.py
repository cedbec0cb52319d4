import numpy as np

from geo.track import TrackArrays

ROWS = [
    (2, 3000, 47.2, 8.2, None, 5.0, None, 90.0, None, 0.5, 0),
    (0, 1000, 47.0, 8.0, 400.0, None, 7.0, None, None, None, 0),
    (3, 1000, 47.3, 8.3, None, None, None, None, None, None, 4),
    (1, 2000, 47.1, 8.1, 410.0, 8.0, 6.0, None, None, None, 0),
]
"""Rows as they travel in the track stream: what follows the speed is not for tracks."""


def test_rows_are_sorted_by_time_then_number() -> None:
    track = TrackArrays.from_rows(ROWS)
    assert track.seq.tolist() == [0, 3, 1, 2]
    assert track.timestamp.tolist() == [1000, 1000, 2000, 3000]
    assert track.latitude.tolist() == [47.0, 47.3, 47.1, 47.2]


def test_what_is_unknown_is_nan() -> None:
    track = TrackArrays.from_rows(ROWS)
    np.testing.assert_array_equal(track.altitude, [400.0, np.nan, 410.0, np.nan])
    np.testing.assert_array_equal(track.accuracy, [np.nan, np.nan, 8.0, 5.0])
    np.testing.assert_array_equal(track.speed, [7.0, np.nan, 6.0, np.nan])


def test_columns_may_be_left_out() -> None:
    track = TrackArrays.from_columns([1, 0], [5, 4], [1.0, 2.0], [3.0, 4.0])
    assert track.latitude.tolist() == [2.0, 1.0]
    assert np.isnan(track.speed).all()


def test_no_rows_are_a_track_of_no_fixes() -> None:
    track = TrackArrays.from_rows([])
    assert len(track) == 0
    assert track.timestamp.dtype == np.int64


def test_some_of_a_track_is_a_track() -> None:
    part = TrackArrays.from_rows(ROWS).take(np.array([True, False, True, False]))
    assert part.seq.tolist() == [0, 1]
    assert len(part) == 2
