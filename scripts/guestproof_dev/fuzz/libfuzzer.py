"""libFuzzer as a worker: its flags, the lines it prints, the files it leaves."""

import os
import re
import time
from pathlib import Path

from guestproof_dev.fuzz import atomic, sift
from guestproof_dev.fuzz.conditions import ENVIRONMENT, limits
from guestproof_dev.fuzz.pool import is_content_name
from guestproof_dev.fuzz.worker import ARTIFACT, INPUT_LIMIT, Worker

_STATUS = re.compile(rb"^#(\d+)\s+\w+\s+cov: (\d+) ft: (\d+) corp: (\d+)/.* exec/s: (\d+) ", re.MULTILINE)
_TOTAL = re.compile(rb"^stat::number_of_executed_units:\s+(\d+)", re.MULTILINE)
# An input that ends the worker is a little older than the end.
_SETTLED_SECONDS = 5.0


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
        return {**ENVIRONMENT, "PYTHONPATH": str(Path(__file__).parents[2])}

    def command(self) -> list:
        flags = limits(self.place.unit_timeout)
        return sift.wrap(self._libfuzzer(flags), flags, self.input, self.incoming)

    def _libfuzzer(self, flags: list[str]) -> list:
        dictionary = self.place.binaries.dictionary(self.combination.target)
        # The custom mutator works on whole records, so the length is not throttled; one second is the finest grain of
        # a slow unit; the sieve before the next slice finds the less slow ones.
        return [self.place.binaries.fuzzer(self.combination), f"-seed={self.seed}", *flags, f"-max_len={INPUT_LIMIT}",
                "-report_slow_units=1", "-reload=0", "-print_funcs=0", "-print_final_stats=1",
                f"-artifact_prefix={self.incoming}/", *([f"-dict={dictionary}"] if dictionary.exists() else []),
                self.finds_folder, self.input]

    def blocking_inputs(self) -> set[str]:
        return super().blocking_inputs() | self.input_names - set(os.listdir(self.input))

    def new_artifacts(self, final: bool) -> list[Path]:
        """They are where they belong already. The newest may have ended the worker, and then its log explains it."""
        paths = [path for path in self.incoming.iterdir()
                 if ARTIFACT.fullmatch(path.name) and path.name not in self._known and (final or _is_settled(path))]
        if final and paths and self._process.returncode > 0:
            newest = max(paths, key=lambda path: path.stat().st_mtime)
            atomic.write(newest.with_suffix(".log"), self.log.read_bytes()[-(1 << 20):])
        self._known.update(path.name for path in paths)
        return sorted(paths)

    def take(self, final: bool) -> None:
        super().take(final)
        if final:
            self.pool.supersede(self._finds.gone())

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


def _is_settled(path: Path) -> bool:
    return time.time() - path.stat().st_mtime > _SETTLED_SECONDS
