"""Lines that no test can reach, marked in the source with the reason.

    if (::fstat(fd, &status) != 0) return fail(...);  // UNREACHABLE: fstat() fails on no open descriptor

excuses what is missed in this line. On a line of its own the mark stands for the whole statement below it. A mark needs
a reason, and something that is missed: one whose code is reached after all is an error, and so is one that stands for
more than a few lines.
"""

import re
from dataclasses import dataclass

from guestproof_dev.coverage.places import Places

LONGEST = 8  # lines of a statement; what is longer hides what could be tested
_MARK = re.compile(r"^(?P<code>.*?)// UNREACHABLE\b:?\s*(?P<reason>.*)$")
_QUOTED = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|//.*")


@dataclass(frozen=True)
class Mark:
    line: int
    lines: range
    reason: str


def find(text: str) -> list[Mark]:
    lines = text.splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        match = _MARK.match(line)
        if match:
            covered = range(number, number + 1) if match["code"].strip() else _statement(lines, number + 1)
            found.append(Mark(number, covered, match["reason"].strip()))
    return found


def without_defaults(text: str, places: Places) -> Places:
    """Without what `= default` stands for: its code is the compiler's, which counts no outcome but one of a comparison."""
    written = {number for number, line in enumerate(text.splitlines(), 1) if line.rstrip().endswith("= default;")}
    return {place: reached for place, reached in places.items() if place[0] not in written}


def _statement(lines: list[str], first: int) -> range:
    """From that line, counted from 1, to the one that ends what begins there; a remark may go on before it."""
    depth = 0
    for number in range(first, len(lines) + 1):
        code = _QUOTED.sub("", lines[number - 1]).strip()
        depth += sum(code.count(each) for each in "({[") - sum(code.count(each) for each in ")}]")
        if depth <= 0 and code.endswith((";", "}")):
            return range(first, number + 1)
    return range(first, len(lines) + 1)


def apply(path: str, marks: list[Mark], places: Places) -> tuple[Places, list[int], list[str]]:
    """The places without the excused ones, the lines of these, and what is wrong with the marks."""
    excused, problems = set(), []
    for mark in marks:
        if len(mark.lines) > LONGEST:
            problems.append(f"{path}:{mark.line}: the mark UNREACHABLE stands for {len(mark.lines)} lines; the limit is "
                            f"{LONGEST}.")
            continue
        mine = {place for place, reached in places.items() if not reached and place[0] in mark.lines}
        excused |= mine
        if not re.search(r"\w\w", mark.reason):
            problems.append(f"{path}:{mark.line}: the mark UNREACHABLE has no reason.")
        if not mine:
            problems.append(f"{path}:{mark.line}: marked UNREACHABLE, and all of it is reached.")
    left = {place: reached for place, reached in places.items() if place not in excused}
    return left, sorted({place[0] for place in excused}), problems
