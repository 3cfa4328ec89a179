"""One target's inputs, and what can be done with them."""

import re
from pathlib import Path

from guestproof_dev.corpus.judge import Afl, Judge, LibFuzzer, fill
from guestproof_dev.errors import Fail
from guestproof_dev.fuzz import atomic
from guestproof_dev.fuzz.binaries import Binaries
from guestproof_dev.fuzz.combination import combine
from guestproof_dev.fuzz.pool import content_name
from guestproof_dev.fuzz.worker import INPUT_LIMIT

_COVERAGE = re.compile(r"^#\d+\s+DONE\s+cov: (\d+) ft: (\d+)", re.MULTILINE)


class Collection:
    def __init__(self, binaries: Binaries, target: str, folder: Path):
        self.target = target
        self._binaries = binaries
        self._found = binaries.corpus / target / "found"
        self._folder = folder
        folder.mkdir()
        self._judges: list[Judge] = []
        self._origin: dict[str, Path] = {}  # where the input of that content came from

    def judges(self) -> list[Judge]:
        if not self._judges:
            self._judges = [(LibFuzzer if each.sanitizer else Afl)(each, self._binaries.fuzzer(each),
                                                                   self._folder / each.preset)
                            for each in combine([self.target], "both", "both")]
        return self._judges

    def add(self, inputs: list[Path]) -> tuple[str, list[Path]]:
        """Takes over what is needed of the inputs; what to say, and the new files."""
        before = self._size()
        base = self._lay("base", self._binaries.inputs(self.target))
        needed = self._needed(base, self._lay("source", inputs))
        new = []
        for name, content in needed.items():
            self._found.mkdir(parents=True, exist_ok=True)
            atomic.write(self._found / name, content)
            new.append(self._found / name)
        return self._say(before, f"from {len(inputs)} inputs"), new

    def minimise(self) -> str:
        if not self._found.is_dir():
            return f"{self.target}: corpus/{self.target}/found/ is empty"
        before = self._size()
        fixed = self._lay("base", [each for each in self._binaries.inputs(self.target) if each != self._found])
        needed = self._needed(fixed, self._lay("source", [self._found]))
        for path in _files(self._found):
            if content_name(path.read_bytes()) not in needed:
                path.unlink()
        return self._say(before, "minimised")

    def lost(self, source: Path) -> list[str]:
        """For each judge that sees one, an edge that the source reaches and the corpus does not."""
        base, inputs = self._lay("base", self._binaries.inputs(self.target)), self._lay("source", [source])
        sentences = []
        for judge in self.judges():
            edges = judge.adds(base, inputs)
            if edges:
                sentences.append(f"{self.target}: {len(edges)} edges of {judge.combination.runner} are reached by none of "
                                 f"its inputs; {sorted(set(edges.values()))[0]} reaches one.")
        return sentences

    def show(self) -> str:
        files, size = self._size()
        folders = self._binaries.inputs(self.target)
        reach = []
        for judge in self.judges():
            if isinstance(judge, LibFuzzer):
                log = judge.run([judge.binary, "-runs=0", f"-max_len={INPUT_LIMIT}", "-print_funcs=0", *folders],
                                f"running the corpus of {self.target}")
                match = _COVERAGE.search(log)
                if not match:
                    raise Fail(f"{judge.combination.name} does not tell what the corpus of {self.target} covers; it said: "
                               f"{log.strip().splitlines()[-1] if log.strip() else 'nothing'}")
                reach.append(f"{judge.combination.runner}: {match[1]} edges, {match[2]} features")
            else:
                edges = judge.reaches(self._lay("all", folders))
                reach.append(f"{judge.combination.runner}: {len(edges)} edges")
        kinds = ", ".join(f"{folder.name} {len(_files(folder))}" for folder in folders)
        return f"{self.target}: {files} inputs ({kinds or 'none'}), {size} bytes; {', '.join(reach)}"

    def _needed(self, base: Path, source: Path) -> dict[str, bytes]:
        """What the base lacks of the source, by name. What the judges pick is extended until no input of the rest adds
        an edge."""
        needed: dict[str, bytes] = {}
        together = fill(self._folder / "together", base)
        more = {name for judge in self.judges() for name in judge.picks(base, source)}
        self._complain_of_broken()
        while True:
            for path in (source / name for name in sorted(more)):
                needed[path.name] = path.read_bytes()
                path.rename(together / path.name)
            more = {name for judge in self.judges() for name in judge.adds(together, source).values()}
            if not more:
                return needed

    def _complain_of_broken(self) -> None:
        for judge in self.judges():
            for path in (self._origin.get(name, name) for name in sorted(judge.broken)):
                raise Fail(f"{path} breaks {judge.combination.name} and so belongs to no corpus; see "
                           f"`scripts/dev repro {path} --target {self.target}`.")

    def _lay(self, name: str, sources: list[Path]) -> Path:
        """A folder with copies of the inputs, each once and named by its content; the empty one is none."""
        folder = fill(self._folder / name)
        for source in sources:
            for path in _files(source) if source.is_dir() else [source]:
                content = path.read_bytes()
                if content:
                    self._origin[content_name(content)] = path
                    (folder / content_name(content)).write_bytes(content)
        return folder

    def _size(self) -> tuple[int, int]:
        files = [path for folder in self._binaries.inputs(self.target) for path in _files(folder)]
        return len(files), sum(path.stat().st_size for path in files)

    def _say(self, before: tuple[int, int], what: str) -> str:
        after = self._size()
        return f"{self.target}: {what}: {before[0]} inputs, {before[1]} bytes -> {after[0]} inputs, {after[1]} bytes"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
