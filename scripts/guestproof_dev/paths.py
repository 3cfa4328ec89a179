"""Where things are; nothing depends on the working directory."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build"
CORPUS = ROOT / "corpus"


def run_root() -> Path:
    """The folder under which each fuzz job makes its own."""
    return ROOT / "out" / "fuzz"
