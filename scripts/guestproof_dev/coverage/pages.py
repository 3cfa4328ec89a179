"""The measured files as HTML: a table, and each file with what is missed marked in it. It shows exactly what
ci/coverage.json holds; llvm-cov's own pages count each instantiation."""

from collections import defaultdict
from pathlib import Path

from guestproof_dev.coverage import places
from guestproof_dev.coverage.measure import Measured
from guestproof_dev.coverage.places import Places

_TEMPLATE = Path(__file__).with_name("pages.html.j2")
_WHAT = {1: "never reached", 2: "a part from column {1} on is never reached", 3: "the condition at column {1} is never {2}"}


def write(root: Path, folder: Path, measured: Measured) -> Path:
    """The path of the first page."""
    import jinja2

    template = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(_TEMPLATE.read_text())
    names = {path: f"{path.replace('/', '.')}.html" for path in measured.files}
    folder.mkdir(parents=True, exist_ok=True)
    for path, found in measured.files.items():
        lines = _lines((root / path).read_text(), found, measured.excused[path])
        (folder / names[path]).write_text(template.render(title=path, lines=lines))
    rows = [(names[path], path, places.counts(found), len(measured.excused[path])) for path, found in
            measured.files.items()]
    index = folder / "index.html"
    index.write_text(template.render(title="Coverage", rows=rows, kinds=places.KINDS))
    return index


def _lines(text: str, found: Places, excused: list[int]) -> list[tuple[str, str, str]]:
    """Of each line a class, its text, and what is missed in it."""
    remarks: dict[int, list[str]] = defaultdict(list)
    for place in places.missed(found):
        outcome = {"T": "true", "F": "false"}.get(place[-1], "")
        remarks[place[0]].append(_WHAT[len(place)].format(*place[:2], outcome))
    rows = []
    for number, line in enumerate(text.splitlines(), 1):
        kind = ("missed" if found.get((number,)) is False else "partly" if remarks[number] else
                "excused" if number in excused else "reached" if (number,) in found else "")
        rows.append((kind, line, "; ".join(remarks[number])))
    return rows
