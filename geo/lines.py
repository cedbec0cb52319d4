"""Lines for drawing: a track in parts that are truly joined, with as few vertices as the eye can tell from all.

Simplifying is Douglas and Peucker's algorithm (GEOS), in pieces: over a whole track its worst case is quadratic, and a
track that is drawn to be the worst case is easily made.
"""

from itertools import pairwise

import numpy as np
import shapely

from geo.geodesics import FloatArray
from geo.track import BoolArray, IntArray

MOST_PARTS = 2_000
"""Parts that a line may have; of more, those with the most fixes stay."""
_PIECE_VERTICES = 1_000
_PASSES = 3
_DOUBLINGS = 40


def simplified(
    points: FloatArray, starts: BoolArray, tolerance: float, most_vertices: int
) -> tuple[list[IntArray], float]:
    """The vertices to draw of n points, part by part as ascending positions, and the tolerance that was used.

    `points` have shape (n, 2), in the unit of the tolerance; `starts` marks the points that begin a part. No point is
    further from its part than the tolerance, which is doubled as often as `most_vertices` demands.
    """
    if len(points) == 0:
        return [], tolerance
    kept = _largest_parts(starts)
    for _ in range(_DOUBLINGS):
        kept = _thinned(points, starts, kept, tolerance)
        if len(kept) <= most_vertices:
            break
        tolerance *= 2
    return _parts(kept, starts), tolerance


def _largest_parts(starts: BoolArray) -> IntArray:
    """Positions of all points, or of those in the largest `MOST_PARTS` parts."""
    part = np.cumsum(starts) - 1
    sizes = np.bincount(part)
    if len(sizes) <= MOST_PARTS:
        return np.arange(len(starts))
    chosen = np.zeros(len(sizes), dtype=np.bool_)
    chosen[np.argsort(-sizes, kind="stable")[:MOST_PARTS]] = True
    return np.flatnonzero(chosen[part])


def _thinned(points: FloatArray, starts: BoolArray, kept: IntArray, tolerance: float) -> IntArray:
    """In passes, since the ends of pieces stay in each; their tolerances add up to no more than `tolerance`."""
    for turn in range(1, _PASSES + 1):
        fewer = _pass(points, kept, _part_edges(kept, starts), tolerance / 2.0**turn)
        done = len(fewer) > 0.8 * len(kept)
        kept = fewer
        if done:
            break
    return kept


def _part_edges(kept: IntArray, starts: BoolArray) -> IntArray:
    """Where parts begin among the kept positions, and the end of the last."""
    part = np.cumsum(starts)[kept]
    return np.concatenate(([0], np.flatnonzero(np.diff(part)) + 1, [len(kept)]))


def _pass(points: FloatArray, kept: IntArray, edges: IntArray, tolerance: float) -> IntArray:
    """One run over all pieces. The position of a vertex travels as its height, which the algorithm does not look at."""
    lone: IntArray = kept[edges[:-1][np.diff(edges) == 1]]
    pieces = [
        np.arange(begin, min(begin + _PIECE_VERTICES, end - 1) + 1)  # a piece shares its last vertex with the next
        for first, end in pairwise(edges.tolist())
        for begin in range(first, end - 1, _PIECE_VERTICES)
    ]
    if not pieces:
        return lone
    vertices = kept[np.concatenate(pieces)]
    piece = np.repeat(np.arange(len(pieces)), [len(each) for each in pieces])
    lines = shapely.linestrings(np.column_stack((points[vertices], vertices)), indices=piece)
    left = shapely.get_coordinates(shapely.simplify(lines, tolerance, preserve_topology=False), include_z=True)
    fewer: IntArray = np.unique(np.concatenate((left[:, 2].astype(np.int64), lone)))
    return fewer


def _parts(kept: IntArray, starts: BoolArray) -> list[IntArray]:
    edges = _part_edges(kept, starts)
    return [kept[begin:end] for begin, end in pairwise(edges.tolist()) if end > begin]
