"""One way in which a target breaks, as crashes/FINDING/finding.json keeps it."""

from dataclasses import dataclass, field
from pathlib import Path

from guestproof_dev.fuzz import atomic
from guestproof_dev.fuzz.combination import Combination


@dataclass
class Finding:
    id: str
    target: str
    engine: str  # which binary shows it
    sanitizer: str
    kind: str
    title: str
    message: str
    stack: list[str]
    reproducible: bool | None  # None: there was no time to try
    found_by: str
    found_after: float  # seconds of the job
    size: int
    minimised_size: int | None = None
    minimising: str = ""  # how it went
    count: int = 1
    signature: str = field(default="", repr=False)

    @property
    def combination(self) -> Combination:
        return Combination(self.target, self.engine, self.sanitizer)

    def smallest(self, folder: Path) -> Path:
        return folder / ("input" if self.minimised_size is None else "minimised")


def load(crashes: Path) -> dict[str, Finding]:
    """The findings on disk by their id."""
    found = [Finding(**atomic.read_json(path)) for path in sorted(crashes.glob("*/finding.json"))]
    return {finding.id: finding for finding in found}
