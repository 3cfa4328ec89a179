"""The frontier: functions that no test reaches, called from functions that are reached.

Each stands in ci/frontier.txt with the reason why, or with the plan. Callers are found by name in the source, so that
a function counts as called rather once too often; a function without a name of its own (an operator, a destructor, a
lambda) always does.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from guestproof_dev.checks import listing
from guestproof_dev.coverage import llvm

LIST = Path("ci") / "frontier.txt"
Spot = tuple[str, int, int, str]  # path, first and last line, mangled name
_CODE = 0  # the kind of a region that is no gap, no expansion, no branch


@dataclass(frozen=True)
class Function:
    path: str
    name: str  # without scope, template arguments and parameters
    first: int
    last: int
    reached: bool

    @property
    def key(self) -> str:
        return f"{self.path} {self.name}"


def spots(root: Path, data: dict, wanted) -> dict[Spot, tuple[bool, int]]:
    """The functions in the wanted files; of each whether it was called, and its number of regions."""
    found: dict[Spot, tuple[bool, int]] = {}
    for record in data["functions"]:
        begin = next((region for region in record["regions"] if region[7] == _CODE), None)
        path = os.path.relpath(record["filenames"][begin[5]], root) if begin else ""
        if path in wanted:
            # A constructor's first region is its body, the regions of what it initialises lie before that.
            own = [region for region in record["regions"] if region[7] == _CODE and region[5] == begin[5]]
            first, last = min(region[0] for region in own), max(region[2] for region in own)
            spot = path, first, last, record["name"].rpartition(":")[2]
            found[spot] = max(found.get(spot, (False, 0)), (record["count"] > 0, len(record["regions"])))
    return found


def functions(found: list[dict[Spot, tuple[bool, int]]], wanted) -> list[Function]:
    """The functions that the programs know; the instantiations of one are one."""
    reached: dict[tuple[str, int, int], bool] = {}
    names: dict[tuple[str, int, int], str] = {}
    for path, first, last, name in sorted(spot for each in found for spot in each if spot[0] in wanted):
        names.setdefault((path, first, last), name)
    for (path, first, last, _name), (called, _regions) in (item for each in found for item in each.items()):
        reached[path, first, last] = reached.get((path, first, last), False) or called
    return [Function(path, short(name), first, last, reached[path, first, last])
            for (path, first, last), name in zip(names, llvm.demangle(list(names.values())))]


def short(demangled: str) -> str:
    """`guestproof::Ring<std::pair<int, int>>::pop<long>` is pop."""
    operator = re.search(r"\boperator(\W+?)(<\w.*)?$", demangled)
    if operator:
        return f"operator{operator[1].strip()}"
    name, cuts = demangled, 1
    while cuts:
        name, cuts = re.subn(r"<[^<>]*>|\[[^][]*\]", "", name)
    return name.rpartition("::")[2]


def find(root: Path, known: list[Function], excused: dict[str, list[int]]) -> list[Function]:
    """The unreached functions that a reached one may call. One whose lines are marked unreachable is none."""
    callers = "\n".join(_body(root, function) for function in known if function.reached)
    return [function for function in known
            if not function.reached and function.first not in excused.get(function.path, [])
            and (not function.name.isidentifier() or re.search(rf"\b{function.name}\b", callers))]


def _body(root: Path, function: Function) -> str:
    return "\n".join((root / function.path).read_text().splitlines()[function.first - 1:function.last])


def check(root: Path, known: list[Function], excused: dict[str, list[int]]) -> list[str]:
    """The frontier is what the list says, and each has a reason."""
    listed = listing.read(root / LIST) if (root / LIST).exists() else {}
    there = {function.key: function for function in find(root, known, excused)}
    problems = [f"{function.path}:{function.first}: {function.name}() is called from code that tests reach, and no test "
                f"reaches it: test it, or add '{key}: why or what is planned' to {LIST}."
                for key, function in there.items() if key not in listed]
    problems += [f"{LIST}: '{key}' is at the frontier no more; take it out." for key in listed if key not in there]
    return problems + [f"{LIST}: '{key}' has no reason." for key, reason in listed.items() if not reason]
