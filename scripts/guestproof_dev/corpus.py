"""Take a run's inputs into the corpus, make the corpus smaller, or show its size.

Only corpus/TARGET/found/ ever changes: seeds come from tests, regressions from bugs. An input belongs there when it
reaches something, under either sanitizer, that no smaller one does.
"""

import argparse
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from guestproof_dev import paths, setup
from guestproof_dev.errors import Fail
from guestproof_dev.fuzz import atomic, run
from guestproof_dev.fuzz.binaries import Binaries
from guestproof_dev.fuzz.combination import Combination, combine
from guestproof_dev.fuzz.command import UNIT_TIMEOUT
from guestproof_dev.fuzz.execute import Bench
from guestproof_dev.fuzz.pool import content_name
from guestproof_dev.fuzz.worker import INPUT_LIMIT

PATIENCE = 3600.0  # seconds for one pass over one target's inputs
_COVERAGE = re.compile(r"^#\d+\s+DONE\s+cov: (\d+) ft: (\d+)", re.MULTILINE)


def add_arguments(parser):
    commands = parser.add_subparsers(dest="command", required=True, metavar="add|minimise|stats")
    add = commands.add_parser("add", help="merge new inputs by coverage into corpus/TARGET/found/")
    add.add_argument("source", metavar="RUN|DIR", help="a run's name or folder, or `last`; or a folder of inputs, with --target")
    minimise = commands.add_parser("minimise", help="drop from corpus/TARGET/found/ what adds nothing")
    stats = commands.add_parser("stats", help="files, bytes and coverage of each target's corpus")
    for command in (add, minimise, stats):
        command.add_argument("--target", action="append", default=[], metavar="T", help="only this one; may be repeated")
        command.add_argument("--out", type=Path, help=argparse.SUPPRESS)
        command.add_argument("--binaries", type=Path, help=argparse.SUPPRESS)
        command.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)


def main(args) -> int:
    setup.ensure({"fuzz"})
    binaries = Binaries((args.binaries or paths.BUILD).absolute(), (args.corpus or paths.CORPUS).absolute())
    if args.command == "add":
        sources = _sources(args, binaries)
        return _for_each(binaries, list(sources), lambda corpus: corpus.add(sources[corpus.target]))
    targets = binaries.select(args.target)
    return _for_each(binaries, targets, Corpus.minimise if args.command == "minimise" else Corpus.show)


def _sources(args, binaries: Binaries) -> dict[str, Path]:
    """Target -> folder of new inputs."""
    folder = Path(args.source)
    if folder.is_dir() and not (folder / "run.json").exists():
        if len(args.target) != 1:
            raise Fail(f"{folder} is no run, so say with one --target whose inputs it holds.")
        return {binaries.select(args.target)[0]: folder.absolute()}
    found = run.find((args.out or paths.run_root()).absolute(), args.source)
    targets = binaries.select(args.target or found.options()["targets"])
    return {target: found.corpus(target) for target in targets if found.corpus(target).is_dir()}


def _for_each(binaries: Binaries, targets: list[str], work) -> int:
    combinations = combine(targets, "libfuzzer", "both")
    binaries.prepare(combinations)
    for target in targets:
        with tempfile.TemporaryDirectory() as folder:
            work(Corpus(binaries, target, [each for each in combinations if each.target == target], Path(folder)))
    return 0


@dataclass
class Corpus:
    """One target's inputs, and a place to work on copies of them."""

    binaries: Binaries
    target: str
    judges: list[Combination]
    folder: Path

    def __post_init__(self):
        self.found = self.binaries.corpus / self.target / "found"
        self.bench = Bench(self.folder / "bench", self.folder, UNIT_TIMEOUT)

    def fixed(self) -> list[Path]:
        return [folder for folder in self.binaries.inputs(self.target) if folder != self.found]

    def add(self, source: Path) -> None:
        before = self._size()
        for content in self._needed([*self.fixed(), self.found], source):
            self.found.mkdir(parents=True, exist_ok=True)
            atomic.write(self.found / content_name(content), content)
        self._say(before, f"from {sum(path.is_file() for path in source.rglob('*'))} inputs")

    def minimise(self) -> None:
        """What stays is extended until nothing of the rest adds to it. Counting would not prove that: a few edges come
        and go with the order of the inputs."""
        if not self.found.is_dir():
            print(f"{self.target}: corpus/{self.target}/found/ is empty")
            return
        before = self._size()
        kept, rest = self._folder("kept"), self._copy("rest", [self.found])
        while needed := self._needed([*self.fixed(), kept], rest):
            for path in _files(rest):
                if path.read_bytes() in needed:
                    path.rename(kept / path.name)
        for path in _files(rest):
            (self.found / path.name).unlink()
        self._say(before, "minimised")

    def show(self) -> None:
        files, size = self._size()
        reach = ", ".join(f"{judge.runner}: {edges} edges, {features} features"
                          for judge, (edges, features) in self._coverage(self.binaries.inputs(self.target)).items())
        kinds = ", ".join(f"{folder.name} {len(_files(folder))}" for folder in self.binaries.inputs(self.target))
        print(f"{self.target}: {files} inputs ({kinds or 'none'}), {size} bytes; {reach}")

    def _needed(self, base: list[Path], source: Path) -> set[bytes]:
        """What the source adds to the base under any of the sanitizers."""
        needed: set[bytes] = set()
        for judge in self.judges:
            merged = self._copy("merged", base)
            known = {path.name for path in merged.iterdir()}
            self._run(judge, ["-merge=1", merged, source], f"merging {source}")
            needed |= {path.read_bytes() for path in merged.iterdir() if path.name not in known}
        return needed - {b""}

    def _coverage(self, folders: list[Path]) -> dict[Combination, tuple[int, int]]:
        """Edges and features that all these inputs reach together."""
        reached = {}
        for judge in self.judges:
            log = self._run(judge, ["-runs=0", *folders], f"running the corpus of {self.target}")
            match = _COVERAGE.search(log)
            if not match:
                raise Fail(f"{judge.name} does not tell what the corpus of {self.target} covers; "
                           f"it said: {log.strip().splitlines()[-1] if log.strip() else 'nothing'}")
            reached[judge] = int(match[1]), int(match[2])
        return reached

    def _run(self, judge: Combination, words: list, what: str) -> str:
        command = [self.binaries.fuzzer(judge), f"-max_len={INPUT_LIMIT}", "-print_funcs=0", f"-timeout={UNIT_TIMEOUT}",
                   f"-artifact_prefix={self.folder}/", *words]
        log, code = self.bench.run(command, PATIENCE)
        if code != 0:
            last = log.strip().splitlines()[-1] if log.strip() else "it said nothing"
            raise Fail(f"{what} with {judge.name} ended with exit code {code}: {last}")
        return log

    def _copy(self, name: str, folders: list[Path]) -> Path:
        copy = self._folder(name)
        for path in (path for folder in folders if folder.is_dir() for path in _files(folder)):
            shutil.copyfile(path, copy / path.name)
        return copy

    def _folder(self, name: str) -> Path:
        """An empty one."""
        folder = self.folder / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return folder

    def _size(self) -> tuple[int, int]:
        files = [path for folder in self.binaries.inputs(self.target) for path in _files(folder)]
        return len(files), sum(path.stat().st_size for path in files)

    def _say(self, before: tuple[int, int], what: str) -> None:
        after = self._size()
        print(f"{self.target}: {what}: {before[0]} inputs, {before[1]} bytes -> {after[0]} inputs, {after[1]} bytes",
              flush=True)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
