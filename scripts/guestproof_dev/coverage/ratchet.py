"""Compares what is covered with what was: a fall, a rise, or neither.

Counts are compared, not percentages, and there is no tolerance. A fall is more that is missed in a file than before:
less code that is all covered is none. One corpus or test program alone need not reach what is new in a file: it has
fallen when it also reaches less. What depends on timing may rise without being a change.
"""

from collections.abc import Callable
from dataclasses import dataclass

from guestproof_dev.coverage import floors, places
from guestproof_dev.errors import Fail

FALL, RISE, OTHER = "fall", "rise", "other"
# The place of the file now that was this place when the ledger was written; None when its line is gone or another.
Follow = Callable[[str, places.Place], places.Place | None]


@dataclass(frozen=True)
class Change:
    kind: str
    where: str  # whose coverage, when it is not that of all tests together
    path: str
    sentence: str


def compare(old: dict, new: dict, follow: Follow = lambda path, place: place) -> list[Change]:
    """Two ledgers."""
    existing = set(new["files"])
    changes = [_file(path, *pair, follow) for path, pair in _pairs(old["files"], new["files"])]
    for section, words in (("targets", "the corpus of {}"), ("tests", "{} alone")):
        for name in sorted({*old[section], *new[section]}):
            pairs = _pairs(old[section].get(name, {}), new[section].get(name, {}))
            changes += [_partial(words.format(name), path, *pair, path in existing, follow) for path, pair in pairs]
    # Empty where it was not measured.
    timed = [_partial("what depends on timing", path, *pair, path in existing, follow)
             for path, pair in _pairs(old["timed"], new["timed"]) if new["timed"]]
    return changes + [change for change in timed if change.kind == FALL] + _cases(old["cases"], new["cases"])


def floor(old: dict, new: dict, may_rise: bool) -> dict:
    """What depends on timing, as it is to be held: what it was, or what is new or better."""
    def is_better(path: str) -> bool:
        return path not in old or any(old[path][kind][1] != new[path][kind][1] or
                                      _missed(new[path], kind) < _missed(old[path], kind) for kind in places.KINDS)
    return {**old, **{path: entry for path, entry in new.items() if may_rise and is_better(path)}}


def _pairs(old: dict, new: dict) -> list[tuple[str, tuple[dict | None, dict | None]]]:
    """What has changed."""
    return [(path, (old.get(path), new.get(path))) for path in sorted({*old, *new}) if old.get(path) != new.get(path)]


def _file(path: str, old: dict | None, new: dict | None, follow: Follow) -> Change:
    if new is None:
        return Change(OTHER, "", path, "is no longer there")
    if old is None:
        low = floors.below_floor(path, new, floors.LIBRARY)
        missed = [f"It is new. Missed: {_spell(path, _places(new))}."] if low else []
        return Change(FALL if low else RISE, "", path, " ".join(low + missed) or f"new, {_counts(new)}")
    falls = [kind for kind in places.KINDS if _missed(new, kind) > _missed(old, kind)]
    return _change("", path, old, new, falls, follow)


def _partial(where: str, path: str, old: dict | None, new: dict | None, exists: bool, follow: Follow) -> Change:
    if new is None:
        return Change(FALL, where, path, f"reaches nothing any more; it reached {_counts(old)}") if exists else \
            Change(OTHER, where, path, "is no longer there")
    if old is None:
        return Change(RISE, where, path, f"new, {_counts(new)}")
    falls = [kind for kind in places.KINDS if _missed(new, kind) > _missed(old, kind) and new[kind][0] < old[kind][0]]
    return _change(where, path, old, new, falls, follow)


def _change(where: str, path: str, old: dict, new: dict, falls: list[str], follow: Follow) -> Change:
    if falls:
        lost = _spell(path, _lost(path, old, new, follow)) or "nothing that was reached before; the code is new"
        return Change(FALL, where, path, f"{_versus(falls, old, new)}. Lost: {lost}.")
    rises = [kind for kind in places.KINDS if _missed(new, kind) < _missed(old, kind)]
    lost = "" if where else _spell(path, _lost(path, old, new, follow))
    excused = new.get("unreachable", 0) - old.get("unreachable", 0)
    said = [_versus(rises, old, new), f"others are reached for: {lost}" if lost else "",
            f"{excused} more lines are marked unreachable" if excused > 0 else ""]
    return Change(RISE if rises else OTHER, where, path, "; ".join(filter(None, said)))


def _missed(entry: dict, kind: str) -> int:
    return entry[kind][1] - entry[kind][0]


def _versus(kinds: list[str], old: dict, new: dict) -> str:
    return "; ".join(f"{new[kind][0]} of {new[kind][1]} {kind} are reached, {old[kind][0]} of {old[kind][1]} were"
                     for kind in kinds)


def _counts(entry: dict) -> str:
    return ", ".join(f"{entry[kind][0]} of {entry[kind][1]} {kind}" for kind in places.KINDS)


def _lost(path: str, old: dict, new: dict, follow: Follow) -> list[places.Place]:
    before = {follow(path, place) for place in _places(old)}
    return [place for place in _places(new) if place not in before]


def _spell(path: str, lost: list[places.Place]) -> str:
    return " ".join(f"{path}:{word}" if number == 0 else word for number, word in enumerate(places.spell(lost).split()))


def _places(entry: dict) -> list[places.Place]:
    try:
        return places.parse(entry.get("missed", ""))
    except ValueError as error:
        raise Fail(f"ci/coverage.json: '{entry['missed']}' names no places: {error}.") from error


def _cases(old: dict, new: dict) -> list[Change]:
    return [Change(FALL if new.get(name, 0) < old.get(name, 0) else RISE, "", name,
                   f"runs {new.get(name, 0)} cases, ran {old.get(name, 0)}")
            for name in sorted({*old, *new}) if new.get(name, 0) != old.get(name, 0)]
