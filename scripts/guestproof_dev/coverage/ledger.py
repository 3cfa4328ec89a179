"""ci/coverage.json: what is covered, for people to review and for Git to merge. One file of the tree is one line.

    files     what the unit tests, properties and corpora reach together: [reached, all] lines, regions and branches,
              the places that are missed (see places.py; those on a missed line are not repeated), and how many lines
              are marked unreachable
    targets   the same for each fuzz target's corpus alone; a file of which it reaches nothing is left out
    tests     the same for each test program alone, of the files whose name it bears
    timed     what the tests reach that depend on timing: a floor
    cases     how many cases each test program has
"""

import json
from pathlib import Path

from guestproof_dev.coverage import places
from guestproof_dev.coverage.measure import Measured
from guestproof_dev.coverage.places import Places
from guestproof_dev.errors import Fail
from guestproof_dev.fuzz import atomic

PATH = Path("ci") / "coverage.json"
_MEND = "take the file away, and `scripts/dev coverage --profile devel` writes all of it"
SECTIONS = ("files", "targets", "tests", "timed", "cases")


def of(measured: Measured) -> dict:
    return {
        "files": {path: _entry(found, len(measured.excused[path])) for path, found in measured.files.items()},
        "targets": _entries(measured.targets),
        "tests": _entries(measured.tests),
        "timed": {path: _entry(found) for path, found in measured.timed.items()},
        "cases": measured.cases,
    }


def _entries(alone: dict[str, dict[str, Places]]) -> dict:
    return {name: {path: _entry(found) for path, found in files.items()} for name, files in alone.items()}


def _entry(found: Places, unreachable: int = 0) -> dict:
    entry: dict = places.counts(found)
    missed = places.missed(found)
    lines = {place for place in missed if len(place) == 1}
    words = places.spell([place for place in missed if place in lines or place[:1] not in lines])
    if words:
        entry["missed"] = words
    if unreachable:
        entry["unreachable"] = unreachable
    return entry


def read(root: Path) -> dict | None:
    """None when there is none yet."""
    path = root / PATH
    if not path.exists():
        return None
    value = atomic.read_json(path)
    for section in SECTIONS:
        if not isinstance(value.get(section), dict):
            raise Fail(f"{path}: has no section '{section}'; {_MEND}.")
    entries = [*value["files"].items(), *value["timed"].items(),
               *(item for section in ("targets", "tests") for each in value[section].values()
                 for item in (each.items() if isinstance(each, dict) else [("", each)]))]
    for name, entry in entries:
        if not _is_entry(entry):
            raise Fail(f"{path}: what it says of '{name}' is no coverage: {json.dumps(entry)[:60]}; {_MEND}.")
    for name, count in value["cases"].items():
        if not isinstance(count, int):
            raise Fail(f"{path}: {name} has {json.dumps(count)[:60]} cases, which is no number; {_MEND}.")
    return value


def _is_entry(entry) -> bool:
    counts = [entry.get(kind) for kind in places.KINDS] if isinstance(entry, dict) else [None]
    return all(isinstance(each, list) and len(each) == 2 and all(isinstance(number, int) for number in each)
               for each in counts) and isinstance(entry.get("missed", ""), str) \
        and isinstance(entry.get("unreachable", 0), int)


def is_written(root: Path, value: dict) -> bool:
    return (root / PATH).exists() and (root / PATH).read_text() == spell(value)


def write(root: Path, value: dict) -> None:
    atomic.write(root / PATH, spell(value).encode())


def spell(value: dict) -> str:
    """JSON, sorted, one line for each innermost object or number."""
    return "{\n" + ",\n".join(f'"{section}": {_block(value[section])}' for section in SECTIONS) + "\n}\n"


def _block(section: dict) -> str:
    """An object of entries, or of objects of entries."""
    rows = [f"{json.dumps(name)}: {_block(each) if _is_nested(each) else json.dumps(each)}"
            for name, each in sorted(section.items())]
    return "{\n" + ",\n".join(rows) + "\n}" if rows else "{}"


def _is_nested(each) -> bool:
    return isinstance(each, dict) and "lines" not in each
