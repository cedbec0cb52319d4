"""Records and their rank, as objects and as bytes."""

from hypothesis import given
from hypothesis import strategies as st

from realtime.bus.rows import KEY_END, RANK_BYTES, ROW_BYTES, TIME_END
from realtime.hub.records import Item, LiveRecord, Tombstone, moment_ms, outranks, pack, rank, unpack

_SMALL = st.integers(0, 3)
_NUMBERS = st.one_of(_SMALL, st.integers(0, 2**53))
records = st.builds(
    LiveRecord,
    rider=st.integers(0, 2**63),
    generation=_NUMBERS,
    version=_NUMBERS,
    latitude_e5=st.integers(-9_000_000, 9_000_000),
    longitude_e5=st.integers(-18_000_000, 18_000_000),
    heading=st.integers(-1, 180),
    speed=st.integers(-1, 10_000),
    received_ms=st.integers(0, 2**53),
    cell=st.integers(0, 2**63),
)
tombstones = st.builds(
    Tombstone, rider=st.integers(0, 2**63), generation=_NUMBERS, version=_NUMBERS, at_ms=st.integers(0, 2**53)
)
items = st.one_of(records, tombstones)


@given(st.lists(items))
def test_a_batch_of_rows_is_read_as_it_was_written(batch: list[Item]) -> None:
    assert list(unpack(b"".join(map(pack, batch)))) == batch


@given(items)
def test_the_bus_finds_rank_time_and_rider_at_the_front_of_a_row(item: Item) -> None:
    row = pack(item)
    assert len(row) == ROW_BYTES
    assert int.from_bytes(row[RANK_BYTES:TIME_END]) == moment_ms(item)
    assert int.from_bytes(row[TIME_END:KEY_END]) == item.rider


@given(items, items)
def test_bytes_tuples_and_the_quick_comparison_agree_on_who_outranks_whom(one: Item, other: Item) -> None:
    by_bytes = pack(one)[:RANK_BYTES] > pack(other)[:RANK_BYTES]
    assert by_bytes == (rank(one) > rank(other)) == outranks(one, other)


def test_a_removal_outranks_the_position_of_the_same_version() -> None:
    position = LiveRecord(1, 5, 5, 0, 0, 0, 0, 0, 0)
    assert outranks(Tombstone(1, 5, 5, 0), position)
    assert not outranks(position, Tombstone(1, 5, 5, 0))


def test_half_a_row_is_refused() -> None:
    row = pack(Tombstone(1, 1, 1, 1))
    try:
        list(unpack(row + row[:10]))
    except ValueError as error:
        assert "63 bytes" in str(error)
    else:
        raise AssertionError("half a row was read")
