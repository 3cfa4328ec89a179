"""Who runs when: equal shares of the processor time for all combinations, in slices.

Every combination gets at least three slices where the time allows, so that engines find each other's inputs in the
pool, and no slice is longer than ten minutes. Whoever has had least is next.
"""

import math
from dataclasses import dataclass, field

from guestproof_dev.fuzz.combination import Combination

SHORTEST_SLICE = 5.0
LONGEST_SLICE = 600.0
ROUNDS = 3
LONGEST_PAUSE = 10.0
# A worker that ends by itself before this has done nothing useful.
SHORT_LIFE = 5.0


def slice_seconds(total: float, combinations: int, slots: int) -> float:
    """A length of which a whole number fits into the time, such that the shares come out even."""
    share = total * slots / combinations
    wanted = max(ROUNDS, math.ceil(share / LONGEST_SLICE))
    possible = max(1, int(share / SHORTEST_SLICE))
    rounds = min(wanted, possible)
    # With as many slices more as make all slots end together, nobody is left with half a share.
    even = slots // math.gcd(combinations, slots)
    if math.ceil(rounds / even) * even <= possible:
        rounds = math.ceil(rounds / even) * even
    per_slot = max(min(ROUNDS, int(total / SHORTEST_SLICE)), math.ceil(combinations * rounds / slots), 1)
    return total / per_slot


@dataclass
class Turn:
    """One combination's place in the queue."""

    used: float = 0.0
    blocked_until: float = 0.0
    failures: int = 0  # short lives in a row


@dataclass
class Schedule:
    combinations: list[Combination]
    slice: float
    turns: dict[Combination, Turn] = field(default_factory=dict)

    def __post_init__(self):
        for combination in self.combinations:
            self.turns.setdefault(combination, Turn())

    def next(self, now: float, running: list[Combination]) -> tuple[Combination, float] | None:
        """Who may start now, and for how long; nobody while all wait after failures."""
        def had(combination: Combination) -> float:
            return self.turns[combination].used + self.slice * running.count(combination)
        ready = [each for each in self.combinations if self.turns[each].blocked_until <= now]
        if not ready:
            return None
        chosen = min(ready, key=had)
        # Whoever has had less and waits gets the slot back soon.
        waits = [self.turns[each].blocked_until - now for each in self.combinations
                 if each not in ready and had(each) < had(chosen) + self.slice]
        return chosen, min([self.slice, *(max(SHORTEST_SLICE, wait) for wait in waits)])

    def ended(self, combination: Combination, now: float, seconds: float, by_itself: bool) -> None:
        """Accounts for a slice. One that broke down at once waits, each time twice as long; others go on meanwhile."""
        turn = self.turns[combination]
        turn.used += seconds
        if not by_itself or seconds >= SHORT_LIFE:
            turn.failures = 0
            return
        turn.failures += 1
        turn.blocked_until = now + min(LONGEST_PAUSE, 2.0 ** (turn.failures - 3))

    def give_up(self, combination: Combination) -> None:
        self.combinations = [each for each in self.combinations if each != combination]
