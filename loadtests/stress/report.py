"""What a run found, as one JSON object and in a few lines for people."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from loadtests.stress.faults import Happened
from loadtests.stress.figures import Seconds
from loadtests.stress.run import Outcome


def summary(outcome: Outcome) -> dict[str, Any]:
    """Everything, for machines."""
    options, happened = outcome.options, outcome.timeline.happened
    return {
        "ok": not outcome.violation_count,
        "seed": options.seed,
        "seconds": options.seconds,
        "nodes": options.nodes,
        "redis": options.topology,
        "sabotage": options.sabotage,
        "schedule": [{name: value for name, value in asdict(fault).items() if value} for fault in outcome.schedule],
        "faults": {
            "done": len(happened),
            "hit_work_in_flight": sum(each.hit_work for each in happened),
            "by_kind": outcome.kinds,
            "each": [_fault(each) for each in happened],
        },
        **outcome.figures,
        "levels": outcome.levels,
        "violations": outcome.violations,
        "violation_count": outcome.violation_count,
        "took_seconds": outcome.seconds,
    }


def lines(outcome: Outcome) -> Iterator[str]:
    """The same in short, for people."""
    happened = outcome.timeline.happened
    hit = sum(each.hit_work for each in happened)
    done = f"{len(happened)} faults, {hit} of them hit work in flight"
    yield f"seed {outcome.options.seed}: {done}, {outcome.seconds:.0f} s"
    for each in happened:
        right = _seconds(each)
        seen = f"right again after {right['p50']} s, at most {right['max']} s" if right["count"] else "nobody waited"
        yield f"  {each.fault.kind:22} {seen}"
    yield "no violation" if not outcome.violation_count else f"{outcome.violation_count} VIOLATIONS"


def _fault(happened: Happened) -> dict[str, Any]:
    healed = happened.healed
    return {
        "kind": happened.fault.kind,
        "at": happened.fault.at,
        "lasted_seconds": None if healed is None else round(healed - happened.began, 2),
        "in_flight": happened.in_flight,
        "right_after_seconds": _seconds(happened),
    }


def _seconds(happened: Happened) -> dict[str, float | int | None]:
    seconds = Seconds()
    for value in happened.right_after:
        seconds.add(value)
    return seconds.summary()
