"""clang-tidy-19 finds nothing (its checks are in .clang-tidy)."""

import hashlib
import json
import os
import re
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from guestproof_dev import build
from guestproof_dev.checks.layering import includes, resolve
from guestproof_dev.checks.tree import Tree
from guestproof_dev.errors import Fail

# GCC's precompiled headers, which Clang cannot read; sources include what is in them.
_PRECOMPILED = re.compile(r" -(?:include \S+/cmake_pch\.hxx|Winvalid-pch|fpch-preprocess)(?=\s)")
_FINDING = re.compile(r"^(/[^:\n]+):(\d+):\d+: (?:warning|error): (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Unit:
    """A source with its compile command and all of the tree's files that it includes, itself among them."""

    source: PurePosixPath
    folder: str  # where the command is run
    command: str
    closure: frozenset[PurePosixPath]


def run(tree: Tree, scope: str = "changed", base: str | None = None) -> list[str]:
    changed = None if scope == "all" else {path for path in tree.changed(base) if path in tree.cxx}
    if changed == set():
        return []
    database = build.configure("dev")
    units = load(tree, database)
    return examine(tree, database, units if changed is None else choose(units, changed))


def load(tree: Tree, database: Path) -> list[Unit]:
    try:
        entries = json.loads((database / "compile_commands.json").read_text())
    except ValueError as error:
        raise Fail(f"{database}/compile_commands.json: cannot read the compile commands: {error}.") from error
    known, units = set(tree.cxx), {}
    for entry in entries:
        file = Path(entry["directory"], entry["file"])
        source = PurePosixPath(os.path.relpath(file, tree.root))
        if source in known:
            units.setdefault(source, Unit(source, entry["directory"], _PRECOMPILED.sub("", entry["command"]),
                                           _closure(tree, source)))
    return list(units.values())


def choose(units: list[Unit], changed: set[PurePosixPath]) -> list[Unit]:
    """The changed sources, and for each changed header that these do not include the smallest source that does."""
    chosen = [unit for unit in units if unit.source in changed]
    for header in sorted(changed):
        users = [unit for unit in units if header in unit.closure]
        if users and not any(header in unit.closure for unit in chosen):
            chosen.append(min(users, key=lambda unit: (len(unit.closure), unit.source)))
    return chosen


def examine(tree: Tree, database: Path, units: list[Unit]) -> list[str]:
    """Findings, each once. What was found clean is remembered by content and not examined again."""
    version = subprocess.run(["clang-tidy-19", "--version"], capture_output=True).stdout
    settings = [path for path in tree.files if path.name == ".clang-tidy"]
    common = version + b"".join((tree.root / path).read_bytes() for path in settings)
    remembered = database.parent / "tidy"
    remembered.mkdir(exist_ok=True)

    def one(unit: Unit) -> list[str]:
        clean = remembered / _fingerprint(tree, unit, common)
        if clean.exists():
            return []
        findings = _tidy(tree, Path(commands), unit)
        if not findings:
            clean.touch()
        return findings

    # A folder of this run's: another at the same time chooses other units.
    with tempfile.TemporaryDirectory() as commands, ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        _write_commands(tree, Path(commands), units)
        return list(dict.fromkeys(finding for findings in pool.map(one, units) for finding in findings))


def _write_commands(tree: Tree, folder: Path, units: list[Unit]) -> None:
    entries = [{"directory": unit.folder, "file": str(tree.root / unit.source), "command": unit.command} for unit in units]
    (folder / "compile_commands.json").write_text(json.dumps(entries))


def _tidy(tree: Tree, database: Path, unit: Unit) -> list[str]:
    # The compile commands are GCC's; Clang need not know every warning they name. It speaks of those before it knows the
    # source, and then reads the .clang-tidy of where it stands, which says what headers are looked into.
    done = subprocess.run(["clang-tidy-19", "--quiet", "-p", str(database), "--extra-arg=-Wno-unknown-warning-option",
                           str(tree.root / unit.source)], cwd=tree.root, capture_output=True, text=True)
    findings = [f"{os.path.relpath(path, tree.root)}:{line}: {text}" for path, line, text in
                _FINDING.findall(done.stdout)]
    if done.returncode != 0 and not findings:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or [f"exit code {done.returncode}"]
        findings = [f"{unit.source}: clang-tidy-19 failed: {said[-1]}"]
    return findings


def _fingerprint(tree: Tree, unit: Unit, common: bytes) -> str:
    digest = hashlib.sha1(common + unit.command.encode())
    for path in sorted(unit.closure):
        digest.update(str(path).encode() + b"\0" + (tree.root / path).read_bytes())
    return digest.hexdigest()


def _closure(tree: Tree, source: PurePosixPath) -> frozenset[PurePosixPath]:
    reached, ahead = {source}, [source]
    while ahead:
        path = ahead.pop()
        for _line, _bracket, name in includes(tree, path):
            target = name and resolve(tree, path, name)
            if target and target not in reached:
                reached.add(target)
                ahead.append(target)
    return frozenset(reached)
