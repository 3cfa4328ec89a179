"""Lets the tests import the package beside them, and builds small trees for the checks to look at."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(SCRIPTS))

from guestproof_dev.kvm import kernels, probe  # noqa: E402

HEADER = "// What this header is for, in a sentence.\n#pragma once\n"
GOOD_TREE = {
    ".clang-format": (SCRIPTS.parent / ".clang-format").read_text(),
    "lib/guestproof/base/error.h": HEADER,
    "lib/guestproof/memory/memory.h": HEADER + '\n#include "guestproof/base/error.h"\n',
    "lib/guestproof/virtio/device/rng/rng.h": HEADER + "\n#include <linux/virtio_rng.h>\n\n#include <span>\n",
    "lib/guestproof/virtio/device/block/block.h": HEADER,
    "tests/base_test.cc": '#include "guestproof/base/error.h"\n',
    "tests/memory/memory_test.cc": "",
    "tests/virtio/device/rng_test.cc": "",
    "tests/virtio/device/block_test.cc": "",
    "props/virtio/device/rng_prop.cc": "",
    "props/virtio/device/block_prop.cc": "",
    "fuzz/virtio/device/rng_fuzz.cc": '#include "guestproof/virtio/device/rng/rng.h"\n',
    "fuzz/virtio/device/block_fuzz.cc": "",
    "fuzz/CMakeLists.txt":
        "guestproof_fuzz_target(rng virtio/device/rng_fuzz.cc SUBJECT lib/guestproof/virtio/device/rng)\n"
        "guestproof_fuzz_target(block virtio/device/block_fuzz.cc SUBJECT lib/guestproof/virtio/device/block)\n",
    "corpus/rng/seeds/one-request": "x",
    "corpus/block/seeds/one-request": "x",
    "scripts/tool.py": "print('hello')\n",
    "scripts/tool": "#!/bin/bash\necho hello\n",
}


class Sketch:
    """A tree under construction."""

    def __init__(self, root: Path):
        self.root = root

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def remove(self, path: str) -> None:
        (self.root / path).unlink()

    def git(self, *words: str) -> None:
        identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false"]
        subprocess.run(["git", *identity, *words], cwd=self.root, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a step")

    def problems(self, check) -> str:
        from guestproof_dev.checks.tree import Tree

        return "\n".join(check.run(Tree(self.root)))


@pytest.fixture
def sketch(tmp_path):
    """A tree in which every check passes."""
    made = Sketch(tmp_path)
    for path, text in GOOD_TREE.items():
        made.write(path, text)
    return made


class Copy:
    """A copy of this tool in a tree of its own, with stand-ins for programs that must not really run."""

    def __init__(self, root: Path, bin_folder: Path):
        self.root, self.bin = root, bin_folder
        shutil.copytree(SCRIPTS, root / "scripts", ignore=shutil.ignore_patterns("__pycache__", "tests"))
        self.environment = {**os.environ, "PATH": f"{bin_folder}:/usr/bin:/bin"}
        # All packages seem installed, and all kernels there: what these tests need is there when they run.
        self.program("dpkg-query", 'shift 3; for name in "$@"; do echo "installed $name"; done')
        self.cache = root.parent / "cache" / "guestproof"
        self.environment["XDG_CACHE_HOME"] = str(self.cache.parent)
        for each in kernels.ALL:
            name = f"linux-image-0_0_{kernels.recipe(each)}"
            (self.cache / "kernels" / each.name / name).mkdir(parents=True)

    def write(self, path: str, text: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def program(self, name: str, script: str) -> None:
        self.bin.mkdir(exist_ok=True)
        (self.bin / name).write_text(f"#!/bin/bash\n{script}\n")
        (self.bin / name).chmod(0o755)

    def complain(self, sentence: str) -> None:
        """What the probe of the host's KVM is to say; when it says nothing that KVM is good."""
        path = self.cache / "probe" / probe.program().name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/bash\necho '{sentence}'\n[[ -z '{sentence}' ]]\n")
        path.chmod(0o755)

    def dev(self, *words: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run([self.root / "scripts" / "dev", *words], capture_output=True, text=True,
                              stdin=subprocess.DEVNULL, env=self.environment, timeout=100, **options)


@pytest.fixture
def copy(tmp_path):
    return Copy(tmp_path / "tree", tmp_path / "bin")
