"""The files that a check looks at."""

import os
import subprocess
from functools import cached_property
from pathlib import Path, PurePosixPath

from guestproof_dev.errors import Fail

CXX = {".h", ".cc", ".c"}
OUTPUTS = {".git", "build", "out", "__pycache__"}


class Tree:
    """A source tree: what Git tracks or would add; every file outside Git."""

    def __init__(self, root: Path):
        self.root = root

    @cached_property
    def files(self) -> list[PurePosixPath]:
        names = self._git("ls-files", "-z", "--cached", "--others", "--exclude-standard") \
            if (self.root / ".git").exists() else self._walk()
        return sorted({PurePosixPath(name) for name in names if (self.root / name).is_file()})

    @cached_property
    def cxx(self) -> list[PurePosixPath]:
        return [path for path in self.files if path.suffix in CXX and path.parts[0] != "corpus"]

    def changed(self, base: str | None = None) -> list[PurePosixPath]:
        """Files that differ from the base commit, committed or not; outside Git every file."""
        if not (self.root / ".git").exists():
            return self.files
        names = self._git("diff", "-z", "--name-only", self._commit(base) if base else self._default_base(), "--")
        names += self._git("ls-files", "-z", "--others", "--exclude-standard")
        return [path for path in self.files if str(path) in set(names)]

    def _commit(self, ref: str) -> str:
        found = self._ask("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        if not found:
            raise Fail(f"there is no commit '{ref}'.")
        return found

    def _default_base(self) -> str:
        """Where this branch left its upstream; on the upstream itself the commit before the last, if there is one."""
        head = self._commit("HEAD")
        left = self._ask("merge-base", "HEAD", "@{upstream}")
        return left if left and left != head else self._ask("rev-parse", "--verify", "--quiet", "HEAD~1") or head

    def text(self, path: PurePosixPath) -> str | None:
        """The file's text; None when it is not text."""
        try:
            return (self.root / path).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            return None

    def _walk(self) -> list[str]:
        found = []
        for folder, folders, names in os.walk(self.root):
            folders[:] = [name for name in folders if name not in OUTPUTS]
            found += [os.path.relpath(os.path.join(folder, name), self.root) for name in names]
        return found

    def _git(self, *words: str) -> list[str]:
        done = self._run_git(words)
        if done.returncode != 0:
            raise Fail(f"git {words[0]} failed in {self.root}: {done.stderr.strip()}")
        return [name for name in done.stdout.split("\0") if name]

    def _ask(self, *words: str) -> str:
        """One line of answer, empty when Git has none."""
        return self._run_git(words).stdout.strip()

    def _run_git(self, words) -> subprocess.CompletedProcess:
        # A tree that belongs to somebody else (a bind mount in CI) is still only read here.
        return subprocess.run(["git", "-c", "safe.directory=*", *words], cwd=self.root, capture_output=True, text=True)


def under(path: PurePosixPath, folder: str) -> bool:
    return path.parts[:len(PurePosixPath(folder).parts)] == PurePosixPath(folder).parts
