"""Includes go only where layers.txt allows."""

import re
from pathlib import Path, PurePosixPath

from guestproof_dev.checks import listing
from guestproof_dev.checks.tree import Tree, under

LAYERS = Path(__file__).with_name("layers.txt")
LIBRARY = "lib/guestproof"
_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include\b[ \t]*(?:([<"])([^">]+)[">])?', re.MULTILINE)
_ROOTS = ("lib", "", "fuzz", "props", "tests", "vmm")


def run(tree: Tree) -> list[str]:
    rules = Rules(listing.read(LAYERS))
    problems = list(rules.problems)
    for path in tree.cxx:
        problems += _check_file(tree, rules, path)
    return problems


def includes(tree: Tree, path: PurePosixPath):
    """(line, bracket, name) of each #include; the name is None where a macro stands for it."""
    text = tree.text(path) or ""
    for match in _INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start()) + 1, match.group(1), match.group(2)


def resolve(tree: Tree, path: PurePosixPath, name: str) -> PurePosixPath | None:
    """The tree's file that an #include in `path` means; None for a header from elsewhere."""
    for folder in (path.parent, *map(PurePosixPath, _ROOTS)):
        candidate = _normal(folder / name)
        if candidate and (tree.root / candidate).is_file():
            return candidate
    return None


class Rules:
    """What layers.txt says: for each layer the layers it may include, and the system's headers."""

    def __init__(self, entries: dict[str, str]):
        self.system = entries.pop("system", "").split()
        self.own_system = {layer: [name[1:-1] for name in line.split() if name[0] == "<"] for layer, line in entries.items()}
        self.direct = {layer: [name for name in line.split() if name[0] not in "!<"] for layer, line in entries.items()}
        self.refused = {layer: {name[1:] for name in line.split() if name[0] == "!"} for layer, line in entries.items()}
        self.problems = [f"layers.txt: '{layer}' names the layer '{name}', which has no line of its own."
                         for layer in self.direct for name in (*self.direct[layer], *sorted(self.refused[layer]))
                         if name not in self.direct]
        self.problems += [f"layers.txt: '{layer}' may, over others, include itself." for layer in self.direct
                          if layer in self._reach(layer)]

    def _reach(self, layer: str) -> set[str]:
        reached, ahead = set(), list(self.direct.get(layer, []))
        while ahead:
            name = ahead.pop()
            if name not in reached:
                reached.add(name)
                ahead += self.direct.get(name, [])
        return reached - self.refused.get(layer, set())

    def find(self, path: PurePosixPath) -> tuple[str, str] | None:
        """(layer, the part of the tree it stands for here): the longest match. `a/*` stands for each folder in a."""
        folder = PurePosixPath(*path.parts[2:-1]) if under(path, LIBRARY) else path.parent
        for depth in range(len(folder.parts), 0, -1):
            part = PurePosixPath(*folder.parts[:depth])
            for layer in (str(part), str(part.parent / "*")):
                if layer in self.direct:
                    return layer, str(part)
        return None

    def allow(self, user: tuple[str, str], used: tuple[str, str]) -> bool:
        return user == used or (used[0] != user[0] and used[0] in self._reach(user[0]))

    def knows_system_header(self, layer: str, name: str) -> bool:
        """The C++ library's headers have no suffix and no folder; what else there may be is listed."""
        listed = self.system + self.own_system.get(layer, [])
        return ("/" not in name and "." not in name) or name in listed or f"{name.partition('/')[0]}/" in listed


def _check_file(tree: Tree, rules: Rules, path: PurePosixPath) -> list[str]:
    layer = rules.find(path)
    if not layer:
        return [f"{path}: the folder {path.parent} belongs to no layer of layers.txt."]
    problems = []
    for line, bracket, name in includes(tree, path):
        complaint = _check_include(tree, rules, path, layer, bracket, name)
        if complaint:
            problems.append(f"{path}:{line}: {complaint}")
    return problems


def _check_include(tree: Tree, rules: Rules, path, layer, bracket, name) -> str | None:
    if name is None:
        return "an #include must name its file."
    target = resolve(tree, path, name)
    if target:
        used = rules.find(target)
        if used and not rules.allow(layer, used):
            return f"'{layer[1]}' may not include '{used[1]}' ({name})."
        return None
    if bracket == '"':
        return f"there is no {name} in the tree."
    if under(path, LIBRARY) and not rules.knows_system_header(layer[0], name):
        return f"the library may not depend on <{name}>; layers.txt lists the system's headers it may use."
    return None


def _normal(path: PurePosixPath) -> PurePosixPath | None:
    """Without `.` and `..`; None when it leaves the tree."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and not parts:
            return None
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)
