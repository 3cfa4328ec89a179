"""Take a run's inputs into the corpus, make the corpus smaller, show its size, or check that nothing is lost.

Only corpus/TARGET/found/ ever changes: seeds come from tests, regressions from bugs. An input belongs there when it
reaches an edge that the others do not, under libFuzzer with either sanitizer or under AFL++. What one target takes in is
tried on the others, which speak the same language. No edge is ever given up. A target's inputs may take 1 MB together.
"""

import argparse
import tempfile
from pathlib import Path

from guestproof_dev import paths, setup, terminal
from guestproof_dev.checks import corpora
from guestproof_dev.corpus.collection import Collection
from guestproof_dev.errors import Fail
from guestproof_dev.fuzz import run
from guestproof_dev.fuzz.binaries import Binaries
from guestproof_dev.fuzz.combination import combine


def add_arguments(parser):
    commands = parser.add_subparsers(dest="command", required=True, metavar="add|minimise|stats|check")
    add = commands.add_parser("add", help="merge new inputs by coverage into corpus/TARGET/found/")
    add.add_argument("source", metavar="RUN|DIR", help="a run's name or folder, or `last`; or a folder of inputs, with --target")
    minimise = commands.add_parser("minimise", help="drop from corpus/TARGET/found/ what adds nothing")
    stats = commands.add_parser("stats", help="files, bytes and coverage of each target's corpus")
    check = commands.add_parser("check", help="sizes and names; with RUN or DIR, also that the corpus reaches every edge "
                                              "that those inputs do")
    check.add_argument("source", nargs="?", metavar="RUN|DIR", help="as for add")
    for command in (add, minimise, stats, check):
        command.add_argument("--target", action="append", default=[], metavar="T", help="only this one; may be repeated")
        command.add_argument("--out", type=Path, help=argparse.SUPPRESS)
        command.add_argument("--binaries", type=Path, help=argparse.SUPPRESS)
        command.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)


def main(args) -> int:
    setup.ensure({"fuzz"})
    binaries = Binaries((args.binaries or paths.BUILD).absolute(), (args.corpus or paths.CORPUS).absolute())
    if args.command == "check" and args.source is None:
        return _check_files(binaries, binaries.select(args.target))
    sources = _sources(args, binaries) if args.command in ("add", "check") else {}
    targets = list(sources) or binaries.select(args.target)
    binaries.prepare(combine(binaries.targets() if args.command == "add" else targets, "both", "both"))
    with tempfile.TemporaryDirectory() as folder:
        collections = {target: Collection(binaries, target, Path(folder, target)) for target in binaries.targets()}
        if args.command == "add":
            return _add(collections, sources)
        if args.command == "check":
            lost = [sentence for target in targets for sentence in collections[target].lost(sources[target])]
            _verdicts(lost, f"the corpus of {', '.join(targets)} reaches all that these inputs do")
            return 1 if lost or _check_files(binaries, targets) else 0
        for target in targets:
            print(collections[target].minimise() if args.command == "minimise" else collections[target].show(), flush=True)
    return 0


def _add(collections: dict[str, Collection], sources: dict[str, Path]) -> int:
    taken = {}
    for target, source in sources.items():
        said, taken[target] = collections[target].add([path for path in source.rglob("*") if path.is_file()])
        print(said, flush=True)
    for target, collection in collections.items():
        foreign = [path for other, added in taken.items() if other != target for path in added]
        if foreign:
            print(collection.add(foreign)[0], flush=True)
    return 0


def _check_files(binaries: Binaries, targets: list[str]) -> int:
    problems = [problem for target in targets for problem in corpora.check(binaries.corpus, target)]
    _verdicts(problems, f"corpora of {', '.join(targets)}: names, doubles and sizes")
    return 1 if problems else 0


def _verdicts(problems: list[str], fine: str) -> None:
    for problem in problems:
        terminal.verdict(False, problem)
    if not problems:
        terminal.verdict(True, fine)


def _sources(args, binaries: Binaries) -> dict[str, Path]:
    """Target -> folder of new inputs."""
    folder = Path(args.source)
    if folder.is_dir() and not (folder / "run.json").exists():
        if len(args.target) != 1:
            raise Fail(f"{folder} is no run, so say with one --target whose inputs it holds.")
        return {binaries.select(args.target)[0]: folder.absolute()}
    found = run.find((args.out or paths.run_root()).absolute(), args.source)
    known = found.options().get("targets")
    if not isinstance(known, list):
        raise Fail(f"{found.options_file}: does not say which targets the run had.")
    targets = binaries.select(args.target or known)
    return {target: found.corpus(target) for target in targets if found.corpus(target).is_dir()}
