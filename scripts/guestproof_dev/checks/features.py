"""docs/features.md lists every virtio feature, whether it is offered, and which tests name it."""

import re
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from guestproof_dev.checks.tree import Tree, under

TABLE = "docs/features.md"
LIBRARY = "lib/guestproof/virtio"
FIX = "scripts/dev check --fix features"
SHOWN = 2  # tests in a row
ONLY_PARSED = {"VIRTIO_VSOCK_F_SEQPACKET"}  # the code has these, and no device offers them

_FEATURE = re.compile(r"^inline constexpr unsigned (VIRTIO_(?:[A-Z0-9]+_)?F_\w+) = (\d+);", re.MULTILINE)
_TEST = re.compile(r"^(?:TEST|TEST_F|TEST_P|RC_GTEST_PROP|RC_GTEST_FIXTURE_PROP)\((\w+),\s*(\w+),?", re.MULTILINE)
_TABLE = re.compile(r"^\| device \|.*\n(?:\|.*\n)+", re.MULTILINE)
_HEAD = "| device | feature | bit | offered | tested by |\n| --- | --- | --- | --- | --- |\n"


@dataclass
class Feature:
    device: str
    name: str
    bit: int
    offered: bool = False
    tests: list[str] = field(default_factory=list)

    def row(self) -> str:
        tests = ", ".join(f"`{test}`" for test in self.tests[:SHOWN])
        more = f" and {len(self.tests) - SHOWN} more" if len(self.tests) > SHOWN else ""
        return f"| {self.device} | `{self.name}` | {self.bit} | {'yes' if self.offered else 'no'} | {tests}{more} |\n"


def run(tree: Tree) -> list[str]:
    features = collect(tree)
    problems = [f"{feature.name} is offered, and no test names it." for feature in features
                if feature.offered and not feature.tests]
    found = _TABLE.search(tree.text(PurePosixPath(TABLE)) or "") if (tree.root / TABLE).is_file() else None
    if not found:
        return [*problems, f"{TABLE}: there is no table of features; write the line '{_HEAD.splitlines()[0]}' and run {FIX}."]
    if found[0] != table(features):
        problems.append(f"{TABLE}: the table does not say what is so; {FIX} writes it.")
    return problems


def fix(tree: Tree):
    path = tree.root / TABLE
    if not path.is_file():
        return  # as the check says
    text = path.read_text(encoding="utf-8")
    path.write_text(_TABLE.sub(lambda _: table(collect(tree)), text, count=1), encoding="utf-8")


def table(features: list[Feature]) -> str:
    return _HEAD + "".join(feature.row() for feature in features)


def collect(tree: Tree) -> list[Feature]:
    features = []
    for path in tree.cxx:
        if path.name == "wire.h" and under(path, LIBRARY):
            device = path.parent.name if under(path.parent.parent, f"{LIBRARY}/device") else "all"
            features += [Feature(device, name, int(bit)) for name, bit in _FEATURE.findall(tree.text(path) or "")]
    by_name = {feature.name: feature for feature in features}
    for path in tree.cxx:
        if under(path, LIBRARY) and path.name != "wire.h":
            for name in _named(tree.text(path) or "", by_name):
                by_name[name].offered = name not in ONLY_PARSED
        elif path.parts[0] in ("tests", "props"):
            for test, body in _bodies(path, tree.text(path) or ""):
                for name in _named(body, by_name):
                    by_name[name].tests.append(test)
    for feature in features:
        feature.tests.sort(key=lambda test: "/" in test)
    return sorted(features, key=lambda feature: (feature.device != "all", feature.device, feature.bit))


def _named(text: str, names) -> list[str]:
    return sorted(set(re.findall(r"\bVIRTIO_\w+", text)) & names.keys())


def _bodies(path: PurePosixPath, text: str):
    """(name, text up to the next one) of each test of a file; the file itself for what stands before its tests."""
    tests = list(_TEST.finditer(text))
    yield str(path), text[:tests[0].start() if tests else len(text)]
    for test, following in zip(tests, [*tests[1:], None]):
        yield f"{test[1]}.{test[2]}", text[test.start():following.start() if following else len(text)]
