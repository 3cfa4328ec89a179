"""What decides which inputs a corpus needs: libFuzzer with either sanitizer, and AFL++, each by its own coverage."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from guestproof_dev.errors import Fail
from guestproof_dev.fuzz.afl import HANG_MILLISECONDS
from guestproof_dev.fuzz.combination import Combination
from guestproof_dev.fuzz.command import UNIT_TIMEOUT
from guestproof_dev.fuzz.execute import Bench
from guestproof_dev.fuzz.worker import INPUT_LIMIT

PATIENCE = 3600.0  # seconds for one pass over one target's inputs


@dataclass
class Judge:
    """A program, and a place to run it. The folders that it is given hold inputs named by their content."""

    combination: Combination
    binary: Path
    folder: Path  # this judge's alone; not there yet

    def __post_init__(self):
        self.folder.mkdir()
        self.broken: set[str] = set()  # the inputs, named by content, that broke the target
        self._bench = Bench(self.folder / "bench", self.folder, UNIT_TIMEOUT)

    def run(self, command: list, what: str) -> str:
        log, code, _ = self._bench.run(command, PATIENCE)
        if code != 0:
            last = log.strip().splitlines()[-1] if log.strip() else "it said nothing"
            raise Fail(f"{what} with {self.combination.name} ended with exit code {code}: {last}")
        return log

    def picks(self, base: Path, source: Path) -> set[str]:
        """Names of inputs in the source that together add to the base the edges that all of them add. How often an edge
        is taken does not count: that would keep ten times as many inputs, and an engine has them back in seconds."""
        raise NotImplementedError

    def adds(self, base: Path, source: Path) -> dict[int, str]:
        """Edges that the source reaches and the base does not, each with the name of an input that does. The target lives
        on between inputs, and some edges come and go with their order: an edge counts when the input alone reaches it."""
        seen = self.reaches(source, base)
        alone = {name: self.alone(fill(self.folder / "alone", source / name, source / name)) for name in set(seen.values())}
        return {edge: name for edge, name in seen.items() if edge in alone[name]}

    def reaches(self, source: Path, base: Path | None = None) -> dict[int, str]:
        """Edges that the source reaches and the base does not, in whatever order, each with the name of an input."""
        raise NotImplementedError

    def alone(self, twice: Path) -> set[int]:
        """Edges that an input reaches without others before it; the folder holds it two times."""
        raise NotImplementedError


class LibFuzzer(Judge):
    def picks(self, base: Path, source: Path) -> set[str]:
        return self._merge(base, source, ["-set_cover_merge=1", "-use_counters=0"]).picked

    def reaches(self, source: Path, base: Path | None = None) -> dict[int, str]:
        return self._merge(base, source, ["-merge=1"]).new_edges

    def alone(self, twice: Path) -> set[int]:
        return set(self.reaches(twice))

    def _merge(self, base: Path | None, source: Path, flags: list[str]) -> "Control":
        # libFuzzer copies what it picks into its first folder.
        merged, control = fill(self.folder / "merged", *([base] if base else [])), self.folder / "control"
        control.unlink(missing_ok=True)
        known = set(os.listdir(merged))
        self.run([self.binary, *flags, f"-max_len={INPUT_LIMIT}", "-print_funcs=0", f"-timeout={UNIT_TIMEOUT}",
                  f"-merge_control_file={control}", f"-artifact_prefix={self.folder}/broken-", merged, source],
                 f"merging {source.name}")
        self.broken |= {path.name.rpartition("-")[2] for path in self.folder.glob("broken-*")}
        contents = {path.read_bytes() for path in merged.iterdir() if path.name not in known}
        picked = {path.name for path in source.iterdir() if path.read_bytes() in contents}
        return Control(picked, _new_edges(control.read_text().splitlines()))


@dataclass
class Control:
    picked: set[str]
    new_edges: dict[int, str]


def _new_edges(lines: list[str]) -> dict[int, str]:
    """From libFuzzer's control file: how many inputs, how many of them the base has, their paths, and then for each the
    edges that none before it reached."""
    count, of_base = int(lines[0]), int(lines[1])
    paths = lines[2:2 + count]
    edges = {}
    for line in lines[2 + count:]:
        word, number, *found = line.split()
        if word == "COV" and int(number) >= of_base:
            edges.update(dict.fromkeys(map(int, found), Path(paths[int(number)]).name))
    return edges


class Afl(Judge):
    def picks(self, base: Path, source: Path) -> set[str]:
        """afl-cmin knows no base: of what it picks from both, what adds to the base stays."""
        both, picked = fill(self.folder / "both", base, source), self.folder / "picked"
        shutil.rmtree(picked, ignore_errors=True)
        self.run([*self._environment, "afl-cmin", "-e", "-i", both, "-o", picked,
                  "-m", "none", "-t", HANG_MILLISECONDS, "--", self.binary], f"afl-cmin on {source.name}")
        reached = set().union(*self._edges(base).values())
        chosen = set()
        for name, edges in sorted(self._edges(source).items()):
            if (picked / name).exists() and not edges <= reached:
                chosen.add(name)
                reached |= edges
        return chosen

    def reaches(self, source: Path, base: Path | None = None) -> dict[int, str]:
        reached = set().union(*self._edges(base).values()) if base else set()
        return {edge: name for name, edges in self._edges(source).items() for edge in edges - reached}

    def alone(self, twice: Path) -> set[int]:
        # Whatever comes first in a process reaches what happens once.
        return self._edges(twice)[max(os.listdir(twice))]

    _environment = ["env", "AFL_ALLOW_TMP=1", "AFL_NO_AFFINITY=1", "AFL_IGNORE_UNKNOWN_ENVS=1",
                    "AFL_FORKSRV_INIT_TMOUT=30000"]

    def _edges(self, inputs: Path) -> dict[str, set[int]]:
        maps = fill(self.folder / "maps")
        if any(inputs.iterdir()):
            self.run([*self._environment, "afl-showmap", "-q", "-i", inputs, "-o", maps, "-m", "none",
                      "-t", HANG_MILLISECONDS, "--", self.binary], f"afl-showmap on {inputs.name}")
        return {path.name: {int(line.partition(":")[0]) for line in path.read_text().split()} for path in maps.iterdir()}


def fill(folder: Path, *sources: Path) -> Path:
    """Makes the folder hold these inputs and those in these folders, and nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for source in sources:
        for path in source.iterdir() if source.is_dir() else [source]:
            name = path.name if source.is_dir() else f"{len(os.listdir(folder))}-{path.name}"
            shutil.copyfile(path, folder / name)
    return folder
