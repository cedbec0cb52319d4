"""The result: a table for people, and one JSON object for machines."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loadtests.replay.judge import IMPLAUSIBLE, REPEATED, STANDING, Verdict
from loadtests.replay.ledger import Ledger, Sighting, Unseen

LARGEST_DISTANCE_ERROR_PCT = 0.1
"""Stored and own distance may differ by this much before they count as different."""
_LONGEST_TICK_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Outcome:
    """Everything a run found out."""

    riders: int
    ledgers: Sequence[Ledger]
    verdicts: Sequence[Verdict]
    """One for each ledger, in the same order; none when the run was not checked."""
    pending_at_kill: int | None = None
    watched_across_nodes: bool = False
    reconnects: int = 0
    skipped: Mapping[str, str] = field(default_factory=dict)
    settings_changed: Mapping[str, Any] = field(default_factory=dict)
    sabotage: str | None = None
    seconds: float = 0.0

    @property
    def sound(self) -> bool:
        """Whether something was ridden and nothing is missing, twice or different."""
        acknowledged = any(verdict.stored for verdict in self.verdicts)
        return (
            acknowledged
            and all(verdict.sound for verdict in self.verdicts)
            and self.distance_error_max_pct <= LARGEST_DISTANCE_ERROR_PCT
        )

    @property
    def distance_error_max_pct(self) -> float:
        """The largest distance error of all tracks."""
        return max((verdict.distance_error_pct for verdict in self.verdicts), default=0.0)

    @property
    def flagged_max_pct(self) -> float:
        """The largest share of disbelieved fixes in a track without outliers."""
        return max((verdict.flagged_pct for verdict in self.verdicts if verdict.without_outliers), default=0.0)


def summary(outcome: Outcome) -> dict[str, Any]:
    """The JSON object: the agreed fields first, then what else is worth knowing."""
    verdicts = outcome.verdicts
    ledgers = outcome.ledgers
    latencies, unseen = live_figures(ledgers, verdicts)
    return {
        "riders": outcome.riders,
        "fixes_sent": sum(ledger.sent_count for ledger in ledgers),
        "fixes_acked": sum(ledger.acknowledged_count for ledger in ledgers),
        "fixes_stored": sum(verdict.stored for verdict in verdicts),
        "fixes_flagged": sum(verdict.flagged for verdict in verdicts),
        "flagged_max_pct": round(outcome.flagged_max_pct, 3),
        "duplicates": sum(len(verdict.duplicates) for verdict in verdicts),
        "missing": sum(len(verdict.missing) for verdict in verdicts),
        "pending_at_kill": outcome.pending_at_kill,
        "distance_error_max_pct": round(outcome.distance_error_max_pct, 6),
        "latency_ms": _percentiles(latencies),
        "different": sum(len(verdict.different) for verdict in verdicts),
        "unexpected": sum(len(verdict.unexpected) for verdict in verdicts),
        "unfinished": sum(not verdict.finished for verdict in verdicts),
        "tracks": len(ledgers),
        "tracks_without_outliers": sum(verdict.without_outliers for verdict in verdicts),
        "fixes_standing": sum(verdict.standing for verdict in verdicts),
        "fixes_repeated": sum(verdict.repeated for verdict in verdicts),
        "rejected": dict(sum((ledger.refusals_by_code for ledger in ledgers), Counter[str]())),
        "points_without_time": sum(ledger.track.without_time for ledger in ledgers),
        "points_unreadable": sum(ledger.track.unreadable for ledger in ledgers),
        "live_sent": sum(ledger.live for ledger in ledgers),
        "live_seen": len(latencies),
        "live_unseen": dict(unseen),
        "sent_in_batches": sum(ledger.batched for ledger in ledgers),
        "sent_late": sum(ledger.late for ledger in ledgers),
        "resent": sum(ledger.resent for ledger in ledgers),
        "reconnects": outcome.reconnects,
        "watchers_on_another_node": outcome.watched_across_nodes,
        "errors": [f"{ledger.track.name}: {ledger.error}" for ledger in ledgers if ledger.error],
        "skipped_files": dict(outcome.skipped),
        "settings_changed": dict(outcome.settings_changed),
        "sabotage": outcome.sabotage,
        "seconds": round(outcome.seconds, 1),
    }


def live_figures(ledgers: Sequence[Ledger], verdicts: Sequence[Verdict]) -> tuple[list[float], Counter[str]]:
    """Seconds from sending to receipt of each displayed live fix; and, for the others, why they were not received."""
    latencies: list[float] = []
    unseen: Counter[str] = Counter()
    flags = {verdict.ledger.track_id: verdict.flags for verdict in verdicts}
    for ledger in ledgers:
        of_seq = flags.get(ledger.track_id, {})
        for sighting in ledger.sightings:
            reason = _why_not_shown(sighting, of_seq.get(sighting.seq, 0), ledger.stopping_at)
            if sighting.seen_at is not None and not (sighting.conflated and reason):
                latencies.append(sighting.seen_at - sighting.sent_at)
            else:
                unseen[reason or Unseen.NEVER] += 1
    return latencies, unseen


def _why_not_shown(sighting: Sighting, flags: int, stopping_at: float | None) -> str | None:
    """Why the server had no reason to show this fix, or None."""
    if not sighting.watched:
        return Unseen.AWAY
    if not sighting.acknowledged:
        return Unseen.REFUSED
    if sighting.older:
        return Unseen.OLDER
    for mask, reason in ((IMPLAUSIBLE, Unseen.FLAGGED), (REPEATED, Unseen.REPEATED), (STANDING, Unseen.STANDING)):
        if flags & mask:
            return reason
    # A dot that is taken off before the next frame was never due in one.
    gone_at_once = stopping_at is not None and stopping_at - sighting.sent_at < _LONGEST_TICK_SECONDS
    return Unseen.STOPPED if gone_at_once and sighting.seen_at is None else None


def _percentiles(latencies: Sequence[float]) -> dict[str, float | None]:
    if not latencies:
        return {"p50": None, "p99": None}
    p50, p99 = np.percentile(np.array(latencies) * 1000, (50, 99))
    return {"p50": round(float(p50), 1), "p99": round(float(p99), 1)}


_HEADER = (
    f"{'track':<40} {'fixes':>7} {'untimed':>7} {'live':>5} {'late':>5} {'acked':>7} {'stored':>7} "
    f"{'implaus.%':>9} {'stand':>5} {'rep.':>5} {'km/h raw':>9} {'kept':>6} {'km':>9} {'err %':>8}  verdict"
)


def table(outcome: Outcome) -> Iterator[str]:
    """The lines of the table, and below it what deserves a sentence."""
    yield _HEADER
    for verdict in outcome.verdicts:
        yield _line(verdict)
    for verdict in outcome.verdicts:
        yield from _remarks(verdict)
    for name, reason in outcome.skipped.items():
        yield f"skipped {name}: {reason}"
    if outcome.settings_changed:
        yield "settings that differ from their defaults:"
        yield from (f"  {name} = {value}" for name, value in outcome.settings_changed.items())
    else:
        yield "no setting differs from its default"


def _line(verdict: Verdict) -> str:
    ledger = verdict.ledger
    return (
        f"{ledger.track.name[:40]:<40} {len(ledger.track.fixes):>7} {ledger.track.without_time:>7} {ledger.live:>5} "
        f"{ledger.late:>5} {ledger.acknowledged_count:>7} {verdict.stored:>7} {verdict.flagged_pct:>9.2f} "
        f"{verdict.standing:>5} {verdict.repeated:>5} {verdict.fastest_raw:>9.0f} {verdict.fastest_kept:>6.0f} "
        f"{verdict.distance_own / 1000:>9.2f} {verdict.distance_error_pct:>8.4f}  {'ok' if verdict.sound else 'WRONG'}"
    )


def _remarks(verdict: Verdict) -> Iterator[str]:
    name = verdict.ledger.track.name
    for what in ("missing", "duplicates", "different", "unexpected"):
        seqs: tuple[int, ...] = getattr(verdict, what)
        if seqs:
            more = " …" if len(seqs) > 10 else ""
            yield f"{name}: {what}: {len(seqs)} (seq {', '.join(map(str, seqs[:10]))}{more})"
    if not verdict.finished:
        yield f"{name}: not finished by the worker"
    if verdict.ledger.error:
        yield f"{name}: {verdict.ledger.error}"
    for seq, code in sorted(verdict.ledger.refusals.items())[:20]:
        yield f"{name}: fix {seq} was refused: {code}"
    yield from (f"{name}: {note}" for note in verdict.ledger.track.notes)
