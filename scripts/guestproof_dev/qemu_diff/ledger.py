"""docs/divergences.md: what is known of how our devices and QEMU's differ, and what differs now."""

import re
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from guestproof_dev.errors import Fail
from guestproof_dev.qemu_diff.replay import Divergence

VERDICTS = ("ours", "theirs", "open")
_COLUMNS = 7  # seeds, what, ours, QEMU's, verdict, clause, why
_VERSION = re.compile(r"QEMU (\d+\.\d+)")


@dataclass
class Ledger:
    version: str = ""  # of QEMU
    verdicts: dict = None  # Divergence -> verdict


def read(path: Path) -> Ledger:
    """Errors: Fail names the row and what is wrong with it."""
    text = path.read_text()
    version = _VERSION.search(text)
    if not version:
        raise Fail(f"{path}: does not say for which QEMU it is.")
    ledger = Ledger(version[1], {})
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("| `"):
            _read_row(f"{path}:{number}", line, ledger)
    return ledger


def _read_row(where: str, line: str, ledger: Ledger) -> None:
    cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
    if len(cells) != _COLUMNS:
        raise Fail(f"{where}: a row has {_COLUMNS} cells, this one {len(cells)}.")
    seeds, what, ours, theirs, verdict, clause, why = cells
    if verdict not in VERDICTS:
        raise Fail(f"{where}: the verdict is one of {', '.join(VERDICTS)}, not '{verdict}'.")
    if not clause.startswith("§") or not why:
        raise Fail(f"{where}: a verdict needs a clause (§…) and a sentence why.")
    for seed in re.findall(r"`([^`]+)`", seeds):
        divergence = Divergence(seed, what, ours.strip("`"), theirs.strip("`"))
        if divergence in ledger.verdicts:
            raise Fail(f"{where}: {seed} is listed twice with '{what}'.")
        ledger.verdicts[divergence] = verdict


def compare(ledger: Ledger, found: list[Divergence], seeds: set[str]) -> list[str]:
    """Complaints: what is new, and what no longer happens to these seeds."""
    known = ledger.verdicts.keys()
    gone = {divergence for divergence in known if divergence.seed in seeds} - set(found)
    return [*(f"new: {tell(divergence)}" for divergence in sorted(set(found) - known)),
            *(f"no longer: {tell(divergence)}" for divergence in sorted(gone))]


def unknown_seeds(ledger: Ledger, seeds: set[str]) -> list[str]:
    """Complaints, for a run over all there are."""
    return [f"listed, but there is no such program to compare: {seed}"
            for seed in sorted({divergence.seed for divergence in ledger.verdicts} - seeds)]


def tell(divergence: Divergence) -> str:
    return f"{divergence.seed}: {divergence.what} is {divergence.ours}, QEMU's {divergence.theirs}"


def rows(found: list[Divergence]) -> list[str]:
    """For the list, with what a person has to add."""
    alike = defaultdict(list)
    for divergence in found:
        alike[divergence.what, divergence.ours, divergence.theirs].append(divergence.seed)
    return [f"| {' '.join(f'`{seed}`' for seed in sorted(seeds))} | {what} | `{ours}` | `{theirs}` | ? | ? | ? |"
            for (what, ours, theirs), seeds in sorted(alike.items())]
