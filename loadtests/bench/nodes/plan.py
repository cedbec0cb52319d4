"""How long everything takes, and how many take part."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Plan:
    """Of one run; seconds unless it says otherwise."""

    load: float
    warm_up: float


FULL = Plan(load=4.0, warm_up=1.0)
QUICK = Plan(load=1.0, warm_up=0.5)
