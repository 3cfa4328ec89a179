"""What programs do to our device, as the program guest_trace tells it; fuzz/runtime/trace_main.cc has its language."""

import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from guestproof_dev.build import build
from guestproof_dev.errors import Fail
from guestproof_dev.paths import BUILD

_PATIENCE = 120  # seconds for all programs of a device; they take one or two


@dataclass
class Trace:
    """One program. A step is a line, split at its blanks."""

    path: Path
    steps: list[list[str]] = field(default_factory=list)
    left_out: str = ""  # why it cannot be repeated

    @property
    def seed(self) -> str:
        """corpus/rng/seeds/one_byte → rng/one_byte."""
        return f"{self.path.parent.parent.name}/{self.path.name}"


def tool() -> Path:
    """guest_trace, built when it is missing."""
    program = BUILD / "dev" / "fuzz" / "guest_trace"
    if not program.exists():
        build("dev", ["guest_trace"])
    return program


def record(program: Path, device: str, seeds: list[Path]) -> list[Trace]:
    words = [str(program), device, *map(str, seeds)]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        raise Fail(f"{program} {device}: takes longer than {_PATIENCE} s.") from None
    if done.returncode != 0:
        raise Fail(done.stderr.strip().rpartition("\n")[2] or f"{program}: ends with exit code {done.returncode}.")
    return parse(done.stdout)


def parse(text: str) -> list[Trace]:
    traces = []
    for line in text.splitlines():
        word, _, rest = line.partition(" ")
        if word == "program":
            traces.append(Trace(Path(rest)))
        elif word == "only":
            traces[-1].left_out = traces[-1].left_out or rest
        else:
            traces[-1].steps.append(line.split())
    return traces
