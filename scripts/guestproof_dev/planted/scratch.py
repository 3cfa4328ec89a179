"""A copy of the sources that is made faulty in one way after the other, and its build folder.

The copy's place stays the same and a file is only written when it changes, so that the build compiles what a fault
touches and nothing else.
"""

import os
import subprocess
from pathlib import Path, PurePosixPath

from guestproof_dev import build
from guestproof_dev.checks.tree import Tree, under
from guestproof_dev.errors import Fail
from guestproof_dev.planted.fault import Fault

PRESET = "fuzz-libfuzzer-asan"
# What a fuzz preset is configured and built from.
SOURCES = ("CMakeLists.txt", "CMakePresets.json", "fuzz", "lib", "props", "scripts/cmake", "tests", "vmm")


class Scratch:
    def __init__(self, root: Path, folder: Path):
        self.root, self.source, self.build = root, folder / "source", folder / "build"

    def clean(self) -> None:
        """Makes the copy what the tree is."""
        wanted = {path for path in Tree(self.root).files if any(under(path, part) for part in SOURCES)}
        for path in wanted:
            _write(self.source / path, (self.root / path).read_bytes())
        for path in [path for path in self.source.rglob("*") if path.is_file()]:
            if PurePosixPath(path.relative_to(self.source)) not in wanted:
                path.unlink()

    def plant(self, fault: Fault) -> None:
        apply(fault, self.source)

    def configure(self) -> None:
        build.quiet(["cmake", "-S", self.source, "--preset", PRESET, "-B", self.build], "configuring the copy")

    def program(self, target: str) -> Path:
        """The target's program, built."""
        build.quiet(["cmake", "--build", self.build, "--target", f"{target}_fuzz"], "the build of the copy")
        return self.build / "fuzz" / f"{target}_fuzz"


def apply(fault: Fault, folder: Path, *options: str) -> None:
    # Git must not take the folder for a part of a repository around it.
    alone = {**os.environ, "GIT_CEILING_DIRECTORIES": str(folder.parent)}
    applied = subprocess.run(["git", "apply", *options, str(fault.path)], cwd=folder, env=alone, capture_output=True,
                             text=True)
    if applied.returncode != 0:
        reason = applied.stderr.strip().partition("\n")[0].removeprefix("error: ")
        raise Fail(f"its patch does not apply: {reason}.")


def _write(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
