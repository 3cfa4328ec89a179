"""Measure what the tests reach in lib/, and hold it: coverage can only rise.

Source-based coverage (clang-19) from unit tests, properties and corpus replay is compared with ci/coverage.json.
Profile ci: any difference fails, a rise too. Profile devel: a fall fails, everything else is written into the file.
The floors and the frontier (coverage/floors.py, ci/frontier.txt) hold in both. With less than all of --from nothing
is compared: the figures are shown. Lines that no test can reach end in `// UNREACHABLE: why`.
Exit code 0 when everything holds, else 1.
"""

import tempfile
from pathlib import Path

from guestproof_dev import setup, targets, terminal
from guestproof_dev.coverage import floors, frontier, ledger, pages, programs, ratchet
from guestproof_dev.coverage.history import History
from guestproof_dev.coverage.measure import EXACT, TIMED, Measured, measure
from guestproof_dev.coverage.ratchet import FALL, OTHER, RISE
from guestproof_dev.errors import Fail
from guestproof_dev.paths import ROOT

MEND = "scripts/dev coverage --profile devel"


def add_arguments(parser):
    parser.add_argument("--profile", choices=["devel", "ci"], default="ci", help="whether a rise fails (default: ci)")
    parser.add_argument("--html", type=Path, metavar="DIR", help="write the sources with their counts there, as HTML")
    parser.add_argument("--from", dest="labels", default=",".join(EXACT), metavar="LIST",
                        help=f"which tests, of {','.join([*EXACT, *TIMED])} (default: %(default)s)")


def main(args) -> int:
    labels = _labels(args.labels)
    setup.ensure({"build", "fuzz", *({"report"} if args.html else ())})
    made = programs.make(labels)
    with tempfile.TemporaryDirectory(prefix="guestproof-coverage-") as scratch:
        measured = measure(ROOT, made, Path(scratch))
    _show(measured)
    if args.html:
        print(f"pages: {pages.write(ROOT, args.html.absolute(), measured)}")
    if not set(EXACT) <= set(labels):
        print(f"measured from {','.join(labels)} only: compared with nothing")
        return _verdicts(measured.problems)
    held = _verdicts([*measured.problems, *floors.check(measured, targets.load()),
                      *frontier.check(ROOT, measured.functions, measured.excused)])
    return max(held, _compare(measured, args.profile, may_write=not measured.problems))


def _labels(text: str) -> list[str]:
    labels = list(dict.fromkeys(text.split(",")))
    for label in labels:
        if label not in (*EXACT, *TIMED):
            raise Fail(f"--from knows no '{label}'; it may list {', '.join([*EXACT, *TIMED])}.")
    return labels


def _show(measured: Measured) -> None:
    unreachable = sum(map(len, measured.excused.values()))
    print(f"{'lib/':<22} {_figures(measured.files)}; {unreachable} lines are marked unreachable")
    for target in targets.load():
        if target.name in measured.targets:
            print(f"{'corpus of ' + target.name:<22} {_figures(floors.subject(measured, target))} of its SUBJECT")


def _figures(files) -> str:
    return ", ".join(f"{reached} of {count} {kind} ({100 * reached / count if count else 100:.1f} %)"
                     for kind, (reached, count) in floors.total(files).items())


def _compare(measured: Measured, profile: str, may_write: bool) -> int:
    old, new = ledger.read(ROOT), ledger.of(measured)
    changes = ratchet.compare(old, new, History(ROOT).follow) if old else []
    new["timed"] = ratchet.floor(old["timed"], new["timed"], profile == "devel") if old else new["timed"]
    if not changes and ledger.is_written(ROOT, new):
        terminal.verdict(True, f"{ledger.PATH}: nothing has changed")
        return 0
    _tell(changes, profile == "devel")
    if any(change.kind == FALL for change in changes):
        print(f"Coverage can only rise. Test what was lost, or mark it `// UNREACHABLE: why`. Where a fall is meant, take "
              f"its line out of {ledger.PATH} by hand: it is then new, and measured by the floors.")
        return 1
    if profile == "ci":
        print(f"{ledger.PATH} does not say what is covered: `{MEND}` writes it; commit that.")
        return 1
    if not may_write:
        print(f"{ledger.PATH} stays as it was: what was measured is incomplete.")
        return 1
    ledger.write(ROOT, new)
    print(f"{ledger.PATH} is written; commit it.")
    return 0


def _tell(changes: list[ratchet.Change], may_rise: bool) -> None:
    """Falls one by one, and what is no fall in a line for each corpus."""
    for change in changes:
        if change.kind == FALL or change.sentence and not change.where:
            whose = f"{change.where}: " if change.where else ""
            terminal.verdict(change.kind != FALL and may_rise, f"{whose}{change.path}: {change.sentence}")
    for where in dict.fromkeys(change.where for change in changes):
        for kind, words in ((RISE, "covers more of"), (OTHER, "covers as much as before, elsewhere, of")):
            paths = [change.path for change in changes if (change.where, change.kind) == (where, kind)
                     and (where or not change.sentence)]
            if paths:
                terminal.verdict(may_rise, f"{where or 'the whole'} {words} {' '.join(paths)}")


def _verdicts(problems: list[str]) -> int:
    for problem in problems:
        terminal.verdict(False, problem)
    return 1 if problems else 0
