"""What is shown of counts singles nobody out: not by itself, and not by subtracting numbers from one another.

Each number is what the children show and a rest; no rest is one or two riders, so no sum of numbers is either.
"""

import random
from collections import Counter

import h3.api.basic_int as h3
from hypothesis import given
from hypothesis import strategies as st

from domain.location.density import FEWEST_SHOWN, Counts, shown_counts
from geo import cells

SOURCE = random.Random(3)
NEIGHBOURS = sorted(
    {
        cells.parent(cells.cell_at(48.2 + SOURCE.gauss(0, spread), 16.4 + SOURCE.gauss(0, spread)), 4)
        for spread in (0.3, 1.0, 3.0, 30.0)
        for _ in range(20)
    }
)
REGIONS = st.dictionaries(st.sampled_from(NEIGHBOURS), st.integers(1, 7), max_size=30)


def truth(regions: dict[int, int], resolution: int) -> Counter[int]:
    sums: Counter[int] = Counter()
    for region, riders in regions.items():
        sums[cells.parent(region, resolution)] += riders
    return sums


@given(REGIONS)
def test_shown_numbers_are_the_truth_or_at_most_two_below_and_never_small(regions: dict[int, int]) -> None:
    for resolution, shown in enumerate(shown_counts(regions)):
        true = truth(regions, resolution)
        assert sum(shown.values()) <= sum(regions.values())
        assert shown.keys() <= true.keys()
        for cell, riders in true.items():
            assert riders - 2 <= shown.get(cell, 0) <= riders
            assert shown.get(cell, 0) == 0 or shown[cell] >= FEWEST_SHOWN


@given(REGIONS)
def test_a_cell_shows_at_least_what_its_children_show_and_a_rest_that_is_not_small(regions: dict[int, int]) -> None:
    levels = shown_counts(regions)
    for resolution in range(4):
        below = truth(levels[resolution + 1], resolution)
        assert below.keys() <= levels[resolution].keys()
        for cell, riders in levels[resolution].items():
            assert riders - below[cell] == 0 or riders - below[cell] >= FEWEST_SHOWN


def test_a_few_here_and_there_are_shown_together_further_out() -> None:
    vienna = cells.parent(cells.cell_at(48.2, 16.4), 4)
    siblings = sorted(set(h3.cell_to_children(cells.parent(vienna, 3), 4)) - {vienna})
    regions = {vienna: 2, siblings[0]: 1}
    levels: tuple[Counts, ...] = shown_counts(regions)
    assert levels[4] == {}
    assert levels[3] == {cells.parent(vienna, 3): 3}
    assert shown_counts({vienna: 4, siblings[0]: 1})[3] == {cells.parent(vienna, 3): 4}
