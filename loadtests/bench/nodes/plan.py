"""How long everything takes, and how many take part."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Of one run; seconds unless it says otherwise."""

    load: float
    """Of a measurement of CPU time."""
    warm_up: float
    idle_load: float
    """At each rate of `idle-node`."""
    crowd_minutes: float
    crowd_idle: int
    """Members who do nothing, beside a thousand riders."""
    cuts: float
    between_restarts: float
    """Before the first, between two, and after the last."""


FULL = Plan(load=4.0, warm_up=1.0, idle_load=6.0, crowd_minutes=10, crowd_idle=9000, cuts=90, between_restarts=10)
QUICK = Plan(load=1.0, warm_up=0.5, idle_load=2.0, crowd_minutes=1, crowd_idle=9000, cuts=20, between_restarts=3)
