"""Where a line is now that was elsewhere when ci/coverage.json was committed, as far as Git knows."""

import difflib
import subprocess
from functools import cache
from pathlib import Path

from guestproof_dev.coverage.ledger import PATH
from guestproof_dev.coverage.places import Place


class History:
    def __init__(self, root: Path):
        self._root = root
        self._lines = cache(self._map)

    def follow(self, path: str, place: Place) -> Place | None:
        """The same place now; None when its line is gone or has changed."""
        lines = self._lines(path)
        line = lines.get(place[0]) if lines else place[0]
        return (line, *place[1:]) if line else None

    def _map(self, path: str) -> dict[int, int]:
        """Old line numbers to new ones; empty when Git has no old ones."""
        now = self._root / path
        commit = self._git("log", "-1", "--format=%H", "--", str(PATH)).strip()
        old = self._git("show", f"{commit}:{path}").splitlines() if commit else []
        if not old or not now.exists():
            return {}
        blocks = difflib.SequenceMatcher(None, old, now.read_text().splitlines(), autojunk=False).get_matching_blocks()
        return {first + step + 1: second + step + 1 for first, second, size in blocks for step in range(size)}

    def _git(self, *words: str) -> str:
        """What it says; nothing where it cannot."""
        try:
            return subprocess.run(["git", "-c", "safe.directory=*", *words], cwd=self._root, capture_output=True,
                                  text=True, errors="replace").stdout
        except FileNotFoundError:
            return ""
