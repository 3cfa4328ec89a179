"""A planted fault: a small patch against the tree whose header says what it breaks and who must notice."""

import re
from dataclasses import dataclass
from pathlib import Path

from guestproof_dev import targets
from guestproof_dev.errors import Fail
from guestproof_dev.paths import ROOT

ORACLES = ("fetch-once", "confinement", "liveness", "model-agreement", "round-trip")
FINDERS = (*ORACLES, "sanitizer", "invariant", "timeout")
_HEADER = re.compile(r"# ([a-z]+): (.+)")
_KEYS = ("fault", "class", "target", "oracle")


@dataclass(frozen=True)
class Fault:
    path: Path
    sentence: str
    kind: str  # the class of bugs that it belongs to
    target: str
    finders: tuple[str, ...]  # any of them will do

    @property
    def name(self) -> str:
        return self.path.stem


def load(root: Path = ROOT) -> list[Fault]:
    """Every fault of ci/planted, by target and name."""
    known = {target.name for target in targets.load(root)}
    faults = [read(path, known) for path in (root / "ci" / "planted").glob("*.patch")]
    return sorted(faults, key=lambda fault: (fault.target, fault.name))


def read(path: Path, known_targets: set[str]) -> Fault:
    lines = path.read_text().splitlines()
    matches = [_HEADER.fullmatch(line) for line in lines[:len(_KEYS)]]
    keys = tuple(match[1] if match else None for match in matches)
    if keys != _KEYS:
        raise Fail(f"{path}: does not begin with the lines {', '.join(f'# {key}: …' for key in _KEYS)}.")
    sentence, kind, target, oracle = (match[2] for match in matches)
    finders = tuple(re.split(r",\s*", oracle))
    for finder in finders:
        if finder not in FINDERS:
            raise Fail(f"{path}: the oracle '{finder}' is none of {', '.join(FINDERS)}.")
    if target not in known_targets:
        raise Fail(f"{path}: there is no fuzz target '{target}'.")
    return Fault(path, sentence, kind, target, finders)


def select(faults: list[Fault], names: list[str]) -> list[Fault]:
    """The faults of those names, or all of them when none is named."""
    for name in names:
        if name not in [fault.name for fault in faults]:
            raise Fail(f"there is no planted fault '{name}'; see scripts/dev planted --list.")
    return [fault for fault in faults if not names or fault.name in names]
