"""What the coverage may not be below, whatever it was before."""

from guestproof_dev.coverage import places
from guestproof_dev.coverage.measure import Measured, below
from guestproof_dev.coverage.places import Places
from guestproof_dev.targets import Target

LIBRARY = {"lines": 95, "branches": 90}  # per cent, of lib/ as a whole and of every file that is new
SUBJECT = {"lines": 90}  # per cent, of what each fuzz target is there to cover


def check(measured: Measured, targets: list[Target]) -> list[str]:
    problems = below_floor("lib/", total(below(measured.files, "lib")), LIBRARY)
    for target in targets:
        problems += below_floor(f"the corpus of {target.name} in its SUBJECT", total(subject(measured, target)), SUBJECT)
    return problems


def subject(measured: Measured, target: Target) -> dict[str, Places]:
    """What the target's corpus alone reaches in the files that it is there to cover."""
    reached = measured.targets.get(target.name, {})
    return {path: reached.get(path, dict.fromkeys(known, False)) for path, known in measured.files.items()
            if target.is_to_cover(path)}


def total(files: dict[str, Places]) -> dict[str, list[int]]:
    """The counts of all the files together."""
    each = [places.counts(found) for found in files.values()]
    return {kind: [sum(counts[kind][column] for counts in each) for column in (0, 1)] for kind in places.KINDS}


def below_floor(what: str, counts: dict[str, list[int]], floor: dict[str, int]) -> list[str]:
    return [f"{what}: {counts[kind][0]} of {counts[kind][1]} {kind} are reached; the floor is {per_cent} %."
            for kind, per_cent in floor.items() if counts[kind][0] * 100 < counts[kind][1] * per_cent]
