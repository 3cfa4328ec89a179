"""What of a file can be reached, and what was: lines, regions and branches as llvm-cov exports them.

A place is a tuple: (line,), (line, column) of a region's begin, (line, column, "T" or "F") of a condition and the way
it went. Code that is compiled many times, as templates and inline functions are, counts once: a place was reached when
it was reached in any of the instantiations and programs. So a branch is one outcome of one condition in the source;
a condition that a template parameter decides has both outcomes when the instantiations together take both.
"""

from itertools import groupby

KINDS = ("lines", "regions", "branches")

Place = tuple
Places = dict[Place, bool]  # whether it was reached


def kind(place: Place) -> str:
    return KINDS[len(place) - 1]


def missed(places: Places) -> list[Place]:
    return [place for place in sorted(places) if not places[place]]


def counts(places: Places) -> dict[str, list[int]]:
    """For each kind how many were reached and how many there are."""
    return {each: [sum(reached for place, reached in places.items() if kind(place) == each),
                   sum(kind(place) == each for place in places)] for each in KINDS}


def read(file: dict) -> Places:
    """The places of one entry of llvm-cov's `files`."""
    places: Places = {(line,): reached for line, reached in _lines(file["segments"]).items()}
    for line, column, count, counted, entry, gap in file["segments"]:
        if counted and entry and not gap:
            _join(places, (line, column), count)
    for line, column, _end_line, _end_column, when_true, when_false, *_ in file["branches"]:
        _join(places, (line, column, "T"), when_true)
        _join(places, (line, column, "F"), when_false)
    return places


def _join(places: Places, place: Place, count: int) -> None:
    places[place] = places.get(place, False) or count > 0


def _lines(segments: list) -> dict[int, bool]:
    """The lines that hold code, by LLVM's own rule: a line was reached when the region that it begins in or one that
    begins in it was."""
    if not segments:
        return {}
    lines: dict[int, bool] = {}
    begun = {line: list(group) for line, group in groupby(segments, key=lambda segment: segment[0])}
    around = None
    for line in range(segments[0][0], segments[-1][0] + 1):
        here = begun.get(line, [])
        entries = [segment for segment in here if segment[3] and segment[4]]
        skipped = here and here[0][4] and not here[0][3]
        if entries or (around and around[3] and not skipped):
            lines[line] = bool(around and around[2]) or any(segment[2] for segment in entries if not segment[5])
        around = here[-1] if here else around
    return lines


def spell(places: list[Place]) -> str:
    """Lines as ranges, `8 10-13`, then regions, `40:7`, then branches, `40:7T`."""
    words = [f"{first}-{last}" if first < last else str(first) for first, last in _ranges(places)]
    words += [f"{place[0]}:{place[1]}" for place in places if len(place) == 2]
    return " ".join(words + [f"{place[0]}:{place[1]}{place[2]}" for place in places if len(place) == 3])


def parse(text: str) -> list[Place]:
    """What spell() wrote; ValueError when it is nothing of the kind."""
    places: list[Place] = []
    for word in text.split():
        line, colon, column = word.partition(":")
        if colon:
            outcome = column[-1:] if column[-1:] in ("T", "F") else ""
            places.append((int(line), int(column.removesuffix(outcome)), *outcome))
        else:
            first, _, last = line.partition("-")
            places += [(each,) for each in range(int(first), int(last or first) + 1)]
    return places


def _ranges(places: list[Place]) -> list[tuple[int, int]]:
    ranges: list[tuple[int, int]] = []
    for line in sorted(place[0] for place in places if len(place) == 1):
        if ranges and ranges[-1][1] == line - 1:
            ranges[-1] = ranges[-1][0], line
        else:
            ranges.append((line, line))
    return ranges
