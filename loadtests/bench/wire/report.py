"""The results as a table for people, and as one JSON object for programs."""

from collections.abc import Iterator, Sequence
from typing import Any

from loadtests.bench.wire.results import FLOOR, NODE, OURS, PEERS, PLAIN, SHARDED, Figure, Results, Verdict, spread

_TITLES = {OURS: "ours", NODE: "Node", SHARDED: "Node, sharded", PLAIN: "python-socketio", FLOOR: "C floor"}


def table(results: Results, surroundings: dict[str, Any], peers: Sequence[str] = PEERS) -> Iterator[str]:
    """The lines of the table, the goals below it, and what one has to know to read them."""
    yield f"{'figure':32} {'unit':12}" + "".join(f"{_TITLES[peer]:>18}" for peer in peers)
    for figure in results.measured():
        yield f"{figure.title:32} {figure.unit:12}" + "".join(f"{_cell(results, figure, peer):>18}" for peer in peers)
    yield ""
    for verdict in results.verdicts():
        yield _goal(verdict)
    yield ""
    yield from results.notes()
    for name, value in surroundings.items():
        yield f"{name}: {_plain(value)}"


def summary(results: Results, surroundings: dict[str, Any], peers: Sequence[str] = PEERS) -> dict[str, Any]:
    """The same as one object."""
    return {
        "figures": {
            figure.name: {
                "unit": figure.unit,
                **{peer: _numbers(results, figure, peer) for peer in peers if results.of(figure.name, peer)},
            }
            for figure in results.measured()
        },
        "goals": [_goal_object(verdict) for verdict in results.verdicts()],
        "notes": results.notes(),
        **surroundings,
    }


def _cell(results: Results, figure: Figure, peer: str) -> str:
    readings = results.of(figure.name, peer)
    if not readings:
        return ""
    values = results.values(figure.name, peer)
    if not values:
        return "not sustained"
    noise = f" ±{spread(values):.0%}" if len(values) > 1 else ""
    return f"{results.median(figure.name, peer):,.2f}{noise}"


def _goal(verdict: Verdict) -> str:
    against = f"× {_TITLES[verdict.goal.peer]}" if verdict.goal.peer else verdict.figure.unit
    is_now = "not measured" if verdict.ratio is None else f"{verdict.ratio:.2f} {against}"
    outcome = {True: "reached", False: "MISSED", None: "open"}[verdict.reached]
    return f"{verdict.figure.title:32} {is_now:28} goal ≤ {verdict.goal.most:g}: {outcome}"


def _goal_object(verdict: Verdict) -> dict[str, Any]:
    return {
        "figure": verdict.figure.name,
        "against": verdict.goal.peer,
        "goal": verdict.goal.most,
        "is": None if verdict.ratio is None else round(verdict.ratio, 4),
        "reached": verdict.reached,
    }


def _numbers(results: Results, figure: Figure, peer: str) -> dict[str, Any]:
    readings = results.of(figure.name, peer)
    median = results.median(figure.name, peer)
    return {
        "median": None if median is None else round(median, 3),
        "rounds": [None if one.value is None else round(one.value, 3) for one in readings],
        "details": [one.details for one in readings],
    }


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_plain(one)}" for name, one in value.items()) or "none"
    return str(value)
