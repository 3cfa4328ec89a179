"""Runs the programs and reads what they reach in the files of lib/."""

import os
import re
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from guestproof_dev.checks.tree import Tree, under
from guestproof_dev.coverage import frontier, llvm, marks, places, programs
from guestproof_dev.coverage.places import Places
from guestproof_dev.errors import Fail

# Not vmm/ and ring0: most of them runs with a guest only, on threads whose timing nothing holds.
SOURCES = ("lib",)
UNMEASURED = "lib/guestproof/ring0"
# Part of what is measured, and no part of what a corpus is there to cover.
GUEST_SIDE = "lib/guestproof/testing"
EXACT = ("unit", "prop", "replay")
# What depends on timing is held as a floor.
TIMED = ("kvm", "e2e")
_BODY = re.compile(r"\)[^;{}()=]*\{")
# What the compiler makes no code of that could be run: directives, consteval functions, remarks, strings.
_REMARK = re.compile(r"^[ \t]*#(?:\\\n|[^\n])*|\bconsteval\b[^{;]*\{|//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", re.DOTALL | re.MULTILINE)
# A file that is empty on this architecture: all of it stands under an #if of others.
_FOREIGN = re.compile(r"\A(?://[^\n]*\n|\s)*#if (?![^\n]*__x86_64__)[^\n]*__(?:aarch64__|riscv)\b.*\n#endif\s*\Z", re.DOTALL)


@dataclass
class Measured:
    files: dict[str, Places] = field(default_factory=dict)
    excused: dict[str, list[int]] = field(default_factory=dict)  # the lines of each file that are marked unreachable
    targets: dict[str, dict[str, Places]] = field(default_factory=dict)  # what each corpus alone reaches
    tests: dict[str, dict[str, Places]] = field(default_factory=dict)  # what each test program alone reaches of its part
    timed: dict[str, Places] = field(default_factory=dict)
    cases: dict[str, int] = field(default_factory=dict)  # how many each program has
    functions: list[frontier.Function] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)  # what is wrong with the measurement or with the marks


@dataclass
class Reach:
    """What one program reached."""

    program: programs.Program
    files: dict[str, Places]
    functions: dict[frontier.Spot, tuple[bool, int]]


def measure(root: Path, made: list[programs.Program], scratch: Path) -> Measured:
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        reaches = list(pool.map(lambda program: _reach(root, program, scratch), made))
    timed = [reach for reach in reaches if reach.program.label in TIMED]
    exact = [reach for reach in reaches if reach not in timed] or timed
    cases = {program.name: len(program.cases) - program.skipped for program in made
             if not program.target and program.label in EXACT}
    result = Measured(cases=cases | programs.elsewhere({program.label for program in made}))
    _take_files(result, Tree(root), _together(reaches, exact))
    result.functions = frontier.functions([reach.functions for reach in exact], result.files)
    result.timed = _only(result, _together(reaches, timed))
    parts = _parts(Tree(root), result.files)
    for reach in reaches:
        alone, program = _only(result, reach.files), reach.program
        if program.target:
            result.targets[program.target] = {path: found for path, found in alone.items()
                                              if not under(Path(path), GUEST_SIDE)}
        elif program.name in parts and program.label in EXACT:
            result.tests[program.name] = {path: found for path, found in alone.items() if path in parts[program.name]}
    return result


def _reach(root: Path, program: programs.Program, scratch: Path) -> Reach:
    data = llvm.export(program.path, programs.run(program, scratch),
                       [root / name for name in SOURCES if (root / name).is_dir()])
    named = {os.path.relpath(file["filename"], root): file for file in data["files"]}
    # Where a program has nothing of the sources, llvm-cov exports what else it has.
    files = {path: places.read(file) for path, file in named.items() if _counts(Path(path))}
    if not any(any(found.values()) for found in files.values()):
        raise Fail(f"{program.name} reached nothing of {' or '.join(SOURCES)}: its profile is empty.")
    return Reach(program, files, frontier.spots(root, data, files))


def _together(known: list[Reach], running: list[Reach]) -> dict[str, Places]:
    """The places that any program knows, and whether one of those that count reached them."""
    best: dict[frontier.Spot, tuple[bool, int]] = {}
    for reach in known:
        for spot, what in reach.functions.items():
            best[spot] = max(best.get(spot, what), what)
    files: dict[str, Places] = defaultdict(dict)
    for reach in known:
        mentions = _mentions(reach, best)
        for path, found in reach.files.items():
            for place, reached in found.items():
                if reached or place[0] not in mentions[path]:
                    files[path][place] = files[path].get(place, False) or (reached and reach in running)
    return {path: files[path] for path in sorted(files) if files[path]}


def _counts(path: Path) -> bool:
    return path.parts[0] in SOURCES and not under(path, UNMEASURED)


def _mentions(reach: Reach, best: dict[frontier.Spot, tuple[bool, int]]) -> dict[str, set[int]]:
    """The lines of functions that the program only mentions and another calls. For it they are one block, and a remark
    in them is a line of code like any other."""
    lines: dict[str, set[int]] = defaultdict(set)
    for spot, what in reach.functions.items():
        if what < best[spot] and not what[0]:
            lines[spot[0]] |= set(range(spot[1], spot[2] + 1))
    return lines


def _parts(tree: Tree, files: dict[str, Places]) -> dict[str, set[str]]:
    """Test program -> the files that bear its name, or those in the folder that does: virtio_queue_chain_test (of
    tests/virtio/queue/chain_test.cc) has chain.h and chain.cc of lib/guestproof/virtio/queue."""
    parts = {}
    for source in tree.cxx:
        if source.parts[0] in ("tests", "props") and source.stem.endswith(("_test", "_prop", "_replay")):
            stem = source.stem.rpartition("_")[0]
            folder = Path("lib/guestproof", *source.parts[1:-1])
            mine = [{path for path in files if Path(path).with_suffix("") == folder / stem},
                    {path for path in files if under(Path(path), str(folder / stem))},
                    {path for path in files if Path(path).parent == folder}]
            parts["_".join([*source.parts[1:-1], source.stem])] = next(filter(None, mine), set())
    return parts


def _take_files(result: Measured, tree: Tree, files: dict[str, Places]) -> None:
    for path in tree.cxx:
        if not _counts(path):
            continue
        name, text = str(path), (tree.root / path).read_text()
        if name in files:
            left, excused, problems = marks.apply(name, marks.find(text), marks.without_defaults(text, files[name]))
            result.files[name] = left
            result.excused[name] = excused
            result.problems += problems
        elif holds_code(text):
            result.problems.append(f"{name}: holds code, and no program that was measured is instrumented for it.")


def holds_code(text: str) -> bool:
    """Whether there is a function in it that this machine could run."""
    return not _FOREIGN.search(text) and bool(_BODY.search(_REMARK.sub("", text)))


def _only(result: Measured, found: dict[str, Places]) -> dict[str, Places]:
    """What was reached of the places that count; files of which nothing was reached are left out."""
    reached = {path: {place: found.get(path, {}).get(place, False) for place in known}
               for path, known in result.files.items()}
    return {path: each for path, each in reached.items() if any(each.values())}


def below(files: dict[str, Places], folder: str) -> dict[str, Places]:
    return {path: found for path, found in files.items() if under(Path(path), folder)}
