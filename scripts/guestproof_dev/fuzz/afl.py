"""AFL++ as a worker: its flags and environment, the statistics it writes, the files it leaves.

Each slice starts afresh from everything that all engines have found; what AFL++ keeps between runs is a cache that a
kill -9 could leave in any state, and refilling it takes seconds.
"""

import re
from pathlib import Path

from guestproof_dev.fuzz.pool import Intake
from guestproof_dev.fuzz.worker import INPUT_LIMIT, Worker, read_log

# A unit in a binary without a sanitizer takes microseconds; AFL++ calls it a hang after this.
HANG_MILLISECONDS = 1000
# What AFL++ gets in any case: it refuses an empty corpus, and no program is shorter than one record.
ONE_RECORD = bytes(32)

_ENVIRONMENT = {
    "AFL_NO_UI": "1",
    "AFL_NO_AFFINITY": "1",
    "AFL_SKIP_CPUFREQ": "1",
    # Crashes are seen by wait status; where core dumps are piped to is of no matter.
    "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES": "1",
    "AFL_NO_CRASH_README": "1",
    "AFL_FAST_CAL": "1",
    "AFL_IGNORE_UNKNOWN_ENVS": "1",
    "AFL_FORKSRV_INIT_TMOUT": "30000",
}
_REJECTED = re.compile(r"orig:([0-9a-f]{40}|one-record)'(?: results in a (crash), skipping|\.\.\.\s+.*Test case results "
                       r"in a (timeout))")
_COLOUR = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]|\x1b\)B|\)B")


class AflWorker(Worker):
    @property
    def finds_folder(self) -> Path:
        return self.folder / "out" / "default" / "queue"

    @staticmethod
    def is_find(name: str) -> bool:
        return name.startswith("id:") and ",orig:" not in name

    def __init__(self, *arguments):
        super().__init__(*arguments)
        results = self.folder / "out" / "default"
        self._statistics = results / "fuzzer_stats"
        self._plot = results / "plot_data"
        self._intakes = [Intake(results / folder, lambda name: name.startswith("id:"), self._keeper(kind))
                         for folder, kind in (("crashes", "crash"), ("hangs", "timeout"))]

    def prepare(self) -> None:
        (self.input / "one-record").write_bytes(ONE_RECORD)

    def _keeper(self, kind: str):
        def keep(_name: str, content: bytes) -> bool:
            self.keep(kind, content)
            return True
        return keep

    def environment(self) -> dict[str, str]:
        mutator = self.place.binaries.mutator
        return {**_ENVIRONMENT, **({"AFL_CUSTOM_MUTATOR_LIBRARY": str(mutator)} if mutator.exists() else {})}

    def command(self) -> list:
        # A timeout with a plus would only be the highest; the 20 ms that AFL++ then chooses end units on a busy machine.
        binary = self.place.binaries.fuzzer(self.combination)
        dictionary = self.place.binaries.dictionary(self.combination.target)
        return ["afl-fuzz", "-i", self.input, "-o", self.folder / "out", "-s", self.seed, "-m", "none",
                "-G", INPUT_LIMIT, "-t", HANG_MILLISECONDS, *(["-x", dictionary] if dictionary.exists() else []),
                "-c", binary, "--", binary]

    def new_artifacts(self, final: bool) -> list[Path]:
        for intake in self._intakes:
            intake.take(final)
        if final:
            self._take_rejected_inputs()
        return self.newly_kept()

    def salvage(self) -> None:
        self.new_artifacts(final=True)

    def _take_rejected_inputs(self) -> None:
        """AFL++ passes over an input of the corpus that crashes or hangs, and only its log tells."""
        for match in _REJECTED.finditer(self.output()):
            self.keep("crash" if match[2] else "timeout", (self.input / match[1]).read_bytes())

    def output(self) -> str:
        return _COLOUR.sub("", read_log(self.log))

    def read_figures(self) -> None:
        figures, statistics = self.figures, _statistics(self._statistics)
        figures.executions = max(figures.executions, statistics.get("execs_done", 0))
        figures.edges = max(figures.edges, statistics.get("edges_found", 0))
        figures.corpus = max(figures.corpus, statistics.get("corpus_count", 0))
        row = read_log(self._plot, 4096).rpartition("\n")[0].rpartition("\n")[2].split(",")
        if len(row) == 13 and not row[0].startswith("#"):
            figures.corpus, figures.rate, figures.executions, figures.edges = (
                _number(row[3]), _number(row[10]), max(figures.executions, _number(row[11])), _number(row[12]))


def _statistics(path: Path) -> dict[str, int]:
    pairs = (line.partition(":") for line in read_log(path, 65536).splitlines())
    return {name.strip(): _number(value) for name, _, value in pairs}


def _number(text: str) -> int:
    try:
        return int(float(text))
    except (ValueError, OverflowError):
        return 0  # a word, or `inf` before the first second is over
