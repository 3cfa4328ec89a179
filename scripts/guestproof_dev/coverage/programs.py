"""The programs whose coverage is measured: what ctest runs of the preset `coverage`, each once and as a whole."""

import os
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from guestproof_dev import build, test
from guestproof_dev.errors import Fail
from guestproof_dev.paths import ROOT

PRESET = "coverage"
LABELS = ("unit", "prop", "replay", "kvm")  # that have a build target
PATIENCE = 600  # seconds for one program; the slowest takes some ten
_SKIPPED = re.compile(r"^\[  SKIPPED \] (\d+) tests?", re.MULTILINE)
# What would make a program run other cases than ctest does, or others on another day.
_FOREIGN = ("GTEST_", "RC_PARAMS", "GUESTPROOF_", "LLVM_PROFILE_FILE")


@dataclass
class Program:
    """A test program as a whole, or a fuzz target's replay of its corpus."""

    path: Path
    arguments: list[str]
    label: str
    target: str = ""
    launcher: list[str] = field(default_factory=list)  # the words before the path: `scripts/dev with-kvm … --`
    cases: list[str] = field(default_factory=list)
    skipped: int = 0  # of the cases, when it was run

    @property
    def name(self) -> str:
        return self.path.name


def make(labels: list[str]) -> list[Program]:
    """Builds and lists what has one of those labels."""
    targets = [label for label in labels if label in LABELS]
    folder = build.build(PRESET, targets)
    return [program for label in labels for program in _labelled(folder, label)]


def _labelled(folder: Path, label: str) -> list[Program]:
    programs: dict[Path, Program] = {}
    for case in test.listing(folder, ["-L", f"^{label}$"], {"LLVM_PROFILE_FILE": os.devnull}):
        launcher, (path, *arguments) = _split(case["command"])
        if not path.startswith(f"{folder}{os.sep}"):
            continue  # the compiler, or a program of another preset
        if Path(path).name.startswith(("vmm_", "ring0_")):
            continue  # units of what is not measured
        is_test = bool(arguments) and arguments[0].startswith("--gtest_filter=")
        target = Path(path).name.removesuffix("_replay") if label == "replay" and not is_test else ""
        program = Program(Path(path), [] if is_test else arguments, label, target, launcher)
        programs.setdefault(program.path, program).cases.append(case["name"])
    if not programs:
        raise Fail(f"no program of the preset {PRESET} has tests with the label {label}.")
    return sorted(programs.values(), key=lambda program: program.path)


def _split(command: list[str]) -> tuple[list[str], list[str]]:
    """What brings the program to a machine that has a KVM, and the program with its arguments."""
    start = command.index("--") + 1 if "with-kvm" in command else 0
    return command[:start], command[start:]


def elsewhere(labels: set[str]) -> dict[str, int]:
    """How many tests run no program of the preset: those that ask the compiler, by the first word of their names."""
    folder = build.BUILD / PRESET
    cases = [case for label in sorted(labels) if label in LABELS
             for case in test.listing(folder, ["-L", f"^{label}$"], {"LLVM_PROFILE_FILE": os.devnull})]
    return dict(Counter(case["name"].partition(".")[0] for case in cases
                        if Path(case["command"][0]).name.startswith(("cmake", "clang", "g++", "c++"))))


def run(program: Program, folder: Path) -> Path:
    """Runs it; the profile that it left in the folder."""
    out = folder / program.name  # which `with-kvm` brings out of its machine
    profile = out / f"{program.name}.profraw"
    out.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    try:
        # Children of the program write into the same file: the counters are mapped from it (%c).
        done = subprocess.run([*program.launcher, str(program.path), *program.arguments], cwd=program.path.parent, stdin=subprocess.DEVNULL,
                              env={**environment, "LLVM_PROFILE_FILE": f"%c{profile}", "GUESTPROOF_OUT": str(out)},
                              timeout=PATIENCE,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    except subprocess.TimeoutExpired:
        raise Fail(f"{program.name} has not ended after {PATIENCE} s, so nothing can be said of what it covers.") from None
    if done.returncode != 0:
        print(done.stdout, end="")
        raise Fail(f"{program.name} failed with exit code {done.returncode}, so nothing can be said of what it covers; "
                   f"its output is above ({program.path.relative_to(ROOT)}).")
    skipped = _SKIPPED.search(done.stdout)
    program.skipped = int(skipped[1]) if skipped else 0
    if not profile.exists() or profile.stat().st_size == 0:
        raise Fail(f"{program.name} left no profile; was it built with the preset {PRESET}?")
    return profile
