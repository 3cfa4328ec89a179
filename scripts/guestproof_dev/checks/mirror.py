"""Each part of lib/ has its tests, properties, fuzz target and corpus under the same name, and nothing is left over."""

from pathlib import Path, PurePosixPath

from guestproof_dev import targets
from guestproof_dev.checks import listing
from guestproof_dev.checks.tree import CXX, Tree, under

EXCEPTIONS = Path(__file__).with_name("mirror_exceptions.txt")
LIBRARY = PurePosixPath("lib/guestproof")
GUEST_WRITES = tuple(LIBRARY / name for name in ("virtio", "kvm", "pci", "bus", "platform", "loader"))
SUFFIXES = {"tests": "_test.cc", "props": "_prop.cc"}
ON_KVM = "_kvm.cc"  # tests besides, which not every machine can run: they make up for no part's unit tests
CORPUS_FOLDERS = {"seeds", "found", "regressions"}


def run(tree: Tree) -> list[str]:
    declared = targets.load(tree.root)
    problems = {**_missing(tree, declared), **_left_over(tree), **_fuzzing(tree, declared), **_corpus(tree, declared)}
    excepted = listing.read(EXCEPTIONS)
    used = [name for name in excepted if problems.pop(name, None)]
    stale = [f"mirror_exceptions.txt: '{name}' is no longer an exception." for name in excepted if name not in used]
    reasonless = [f"mirror_exceptions.txt: '{name}' has no reason." for name, reason in excepted.items() if not reason]
    return [f"{name}: {sentence}" for name, sentence in problems.items()] + stale + reasonless


def _parts(tree: Tree) -> set[PurePosixPath]:
    """The folders of the library that hold sources, relative to it."""
    return {path.parent.relative_to(LIBRARY) for path in tree.cxx if under(path, str(LIBRARY))}


def _mirrors(tree: Tree, kind: str, suffix: str | None = None) -> list[PurePosixPath]:
    """The mirror's files without kind and suffix: tests/virtio/queue_test.cc is virtio/queue."""
    suffix = suffix or SUFFIXES[kind]
    return [PurePosixPath(str(path.relative_to(kind)).removesuffix(suffix)) for path in tree.cxx
            if path.parts[0] == kind and path.name.endswith(suffix)]


def _missing(tree: Tree, declared) -> dict[str, str]:
    problems = {}
    tests, props = _mirrors(tree, "tests"), _mirrors(tree, "props")
    subjects = [subject for target in declared for subject in target.subject]
    for part in sorted(_parts(tree)):
        if part not in tests and part not in [test.parent for test in tests]:
            problems[f"tests/{part}"] = f"{LIBRARY / part} has no tests (tests/{part}_test.cc or tests/{part}/*_test.cc)."
        if not any(under(LIBRARY / part, str(folder)) for folder in GUEST_WRITES):
            continue
        if part not in props and part not in [prop.parent for prop in props]:
            problems[f"props/{part}"] = f"{LIBRARY / part} has no properties (props/{part}_prop.cc or props/{part}/*_prop.cc)."
        if not any(under(LIBRARY / part, subject) or under(PurePosixPath(subject), str(LIBRARY / part))
                   for subject in subjects):
            problems[f"fuzz/{part}"] = f"{LIBRARY / part} is the SUBJECT of no fuzz target."
    return problems


def _left_over(tree: Tree) -> dict[str, str]:
    """Files of tests/ and props/ that nothing in the library corresponds to."""
    parts = _parts(tree)
    known = parts | {parent for part in parts for parent in part.parents}
    problems = {}
    for kind in ("tests", "props"):
        for path in tree.cxx:
            if path.parts[0] == kind and path.parent.relative_to(kind) not in known:
                problems[str(path.parent)] = f"there is no {LIBRARY / path.parent.relative_to(kind)}."
        for stem in (*_mirrors(tree, kind), *_mirrors(tree, kind, ON_KVM)):
            if stem not in known and stem.parent in known - parts:
                problems[f"{kind}/{stem}"] = f"there is no {LIBRARY / stem}."
    return problems


def _fuzzing(tree: Tree, declared) -> dict[str, str]:
    """Declared sources and subjects exist and mirror the library; every source is declared."""
    problems = {}
    for target in declared:
        source = PurePosixPath("fuzz") / target.source
        stem = LIBRARY / target.source.removesuffix("_fuzz.cc")
        if source not in tree.files:
            problems[str(source)] = f"the source of the fuzz target {target.name} does not exist."
        elif not any(_exists(tree, f"{stem}{suffix}") for suffix in ("", *CXX)):
            problems[str(source)] = f"there is no {stem} (folder or header) that this target could belong to."
        for subject in target.subject:
            if not _exists(tree, subject) or not under(PurePosixPath(subject), str(LIBRARY)):
                problems[f"fuzz/{target.name}"] = f"the SUBJECT {subject} is not in the library."
        for path in target.exempt:
            if not _exists(tree, path) or not any(under(PurePosixPath(path), each) for each in target.subject):
                problems[f"fuzz/{target.name}"] = f"EXCEPT {path} takes nothing out of the SUBJECT."
    sources = [target.source for target in declared]
    for path in tree.cxx:
        if path.parts[0] == "fuzz" and path.name.endswith("_fuzz.cc") and str(path.relative_to("fuzz")) not in sources:
            problems[str(path)] = "fuzz/CMakeLists.txt declares no target with this source."
    return problems


def _exists(tree: Tree, path) -> bool:
    return any(under(file, str(path)) for file in tree.files)


def _corpus(tree: Tree, declared) -> dict[str, str]:
    """Every target has seeds; every folder of the corpus has its target."""
    names = {target.name for target in declared}
    inputs = [path for path in tree.files if path.parts[0] == "corpus"]
    problems = {}
    for path in inputs:
        if len(path.parts) < 3 or path.parts[1] not in names:
            problems[str(PurePosixPath(*path.parts[:2]))] = "there is no fuzz target of this name."
        elif len(path.parts) < 4 or path.parts[2] not in CORPUS_FOLDERS:
            problems[str(PurePosixPath(*path.parts[:3]))] = "a corpus holds seeds/, found/ and regressions/ only."
    for name in sorted(names):
        if not any(path.parts[1:3] == (name, "seeds") for path in inputs):
            problems[f"corpus/{name}/seeds"] = f"the fuzz target {name} has no seeds."
    return problems
