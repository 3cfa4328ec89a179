"""The inputs that a run found for one target: files named by the SHA-1 of their content.

Workers write into folders of their own; the pool takes complete copies. So neither an engine that rewrites or deletes
its files, nor a kill -9 half-way through one, can damage what has been found. What libFuzzer has replaced by something
smaller moves to superseded/: no worker starts from it, and `corpus add` still looks at it.
"""

import hashlib
import os
import time
from contextlib import suppress
from pathlib import Path

from guestproof_dev.fuzz import atomic

_HEX = frozenset("0123456789abcdef")


def content_name(content: bytes) -> str:
    return hashlib.sha1(content).hexdigest()


def is_content_name(name: str) -> bool:
    return len(name) == 40 and _HEX.issuperset(name)


class Pool:
    def __init__(self, folder: Path):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        atomic.clean(folder)
        self._superseded = folder / "superseded"
        self._superseded.mkdir(exist_ok=True)
        self.names = {name for each in (folder, self._superseded) for name in os.listdir(each) if is_content_name(name)}

    def add(self, content: bytes) -> bool:
        """True when it was new. An empty input is what every worker starts from, so it is none."""
        name = content_name(content)
        if not content or name in self.names:
            return False
        atomic.write(self.folder / name, content)
        self.names.add(name)
        return True

    def supersede(self, names: set[str]) -> None:
        for name in names:
            with suppress(FileNotFoundError):
                os.rename(self.folder / name, self._superseded / name)


class Intake:
    """Watches one worker's folder and hands each complete new file on."""

    def __init__(self, folder: Path, wanted, give):
        self._folder = folder
        self._wanted = wanted  # by name
        self._give = give  # (name, content) -> bool, whether it was new
        self._seen: set[str] = set()

    def take(self, final: bool) -> int:
        """Looks for new files; returns how many were new to whoever gets them. After the worker's end nothing will
        complete a half-written file: it is taken as it is."""
        new = 0
        for name in self._new_names():
            path = self._folder / name
            try:
                content = path.read_bytes()
                complete = final or _complete(path, content)
            except OSError:
                continue  # the engine has replaced it by a smaller one
            if complete:
                new += self._give(name, content)
                self._seen.add(name)
        return new

    def gone(self) -> set[str]:
        """Names of files that were taken and that the engine has removed since."""
        return self._seen - set(os.listdir(self._folder))

    def _new_names(self) -> list[str]:
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        return sorted(name for name in names if name not in self._seen and self._wanted(name))


def _complete(path: Path, content: bytes) -> bool:
    """libFuzzer's names tell; AFL++'s do not, but it writes a file within a moment."""
    name = path.name.rpartition("-")[2]
    if is_content_name(name):
        return name == content_name(content)
    return path.stat().st_mtime < time.time() - 1
