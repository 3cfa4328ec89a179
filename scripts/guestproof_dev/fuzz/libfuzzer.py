"""libFuzzer as a worker: its flags, the lines it prints, the files it leaves."""

import os
import re
from pathlib import Path

from guestproof_dev.fuzz import atomic
from guestproof_dev.fuzz.binaries import SYMBOLIZER
from guestproof_dev.fuzz.pool import is_content_name
from guestproof_dev.fuzz.worker import ARTIFACT, INPUT_LIMIT, Worker

# No unit may need more memory than this; the sanitizers' own share is inside the first figure.
MEMORY_LIMIT_MB = 1024
ALLOCATION_LIMIT_MB = 128
_STATUS = re.compile(rb"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)/.* exec/s: (\d+) ", re.MULTILINE)
_TOTAL = re.compile(rb"^stat::number_of_executed_units:\s+(\d+)", re.MULTILINE)

ENVIRONMENT = {
    # A small quarantine keeps the memory limit meaningful on small targets.
    "ASAN_OPTIONS": f"symbolize=1:external_symbolizer_path={SYMBOLIZER}:quarantine_size_mb=64:"
                    "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": f"print_stacktrace=1:symbolize=1:external_symbolizer_path={SYMBOLIZER}",
    "LSAN_OPTIONS": f"external_symbolizer_path={SYMBOLIZER}",
}


def limits(unit_timeout: int) -> list[str]:
    """What makes one execution a finding; the same flags find and reproduce."""
    return [f"-timeout={unit_timeout}", f"-rss_limit_mb={MEMORY_LIMIT_MB}", f"-malloc_limit_mb={ALLOCATION_LIMIT_MB}"]


class LibFuzzerWorker(Worker):
    @property
    def finds_folder(self):
        return self.folder / "new"

    @staticmethod
    def is_find(name: str) -> bool:
        return is_content_name(name)

    def prepare(self) -> None:
        self.finds_folder.mkdir()
        self._read_to = 0
        self._known = set(os.listdir(self.incoming))  # from an earlier slice, and triage has them already

    def environment(self) -> dict[str, str]:
        return ENVIRONMENT

    def command(self) -> list:
        binaries, target = self.place.binaries, self.combination.target
        dictionary = binaries.dictionary(target)
        # The custom mutator works on whole records, so the length is not throttled; one second is the finest grain of
        # a slow unit, ten times what the rules allow, and triage measures it again.
        return [binaries.fuzzer(self.combination), f"-seed={self.seed}", *limits(self.place.unit_timeout),
                f"-max_len={INPUT_LIMIT}", "-report_slow_units=1", "-reload=0", "-print_funcs=0",
                "-print_final_stats=1", f"-artifact_prefix={self.incoming}/",
                *([f"-dict={dictionary}"] if dictionary.exists() else []),
                self.finds_folder, self.place.run.corpus(target), *binaries.inputs(target)]

    def new_artifacts(self, final: bool) -> list[Path]:
        """libFuzzer puts them where they belong by itself. All but slow units end it, and its log explains the last."""
        names = [name for name in os.listdir(self.incoming) if ARTIFACT.fullmatch(name) and name not in self._known]
        paths = sorted((self.incoming / name for name in names), key=lambda path: path.stat().st_mtime)
        if not final:
            return []
        if paths and self._process.returncode != 0:
            atomic.write(paths[-1].with_suffix(".log"), self.log.read_bytes()[-(1 << 20):])
        self._known.update(names)
        return paths

    def salvage(self) -> None:
        """What broke something is where triage looks already."""

    def read_figures(self) -> None:
        with open(self.log, "rb") as file:
            file.seek(self._read_to)
            text = file.read(1 << 20)
        complete = text.rfind(b"\n") + 1
        self._read_to += complete
        figures = self.figures
        for match in _STATUS.finditer(text, 0, complete):
            figures.executions, figures.edges, figures.features, figures.corpus, figures.rate = map(int, match.groups())
        total = _TOTAL.search(text, 0, complete)
        if total:
            figures.executions = int(total[1])
