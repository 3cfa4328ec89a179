"""From an input that broke something to a finding: reproduced, de-duplicated, minimised, decoded.

crashes/FINDING/
    input           the first input that showed it
    minimised       a smaller one with the same signature, when one was found
    scenario.txt    the smaller of them as text
    report.txt      what the binary printed
    finding.json    everything about it; written after the others
    more/           further inputs with the same signature, the first hundred

An input stays in crashes/incoming/ until its finding is written, so a kill -9 at any moment only repeats work. Findings
are minimised when nothing else waits.
"""

import math
import os
import queue
import shutil
import threading
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

from guestproof_dev import crash, scenario
from guestproof_dev.fuzz import atomic
from guestproof_dev.fuzz.combination import Combination, judges
from guestproof_dev.fuzz.execute import Bench, Clock, Outcome
from guestproof_dev.fuzz.finding import Finding, load
from guestproof_dev.fuzz.minimise import without_records
from guestproof_dev.fuzz.pool import content_name
from guestproof_dev.fuzz.worker import ARTIFACT, Place, read_log

MINIMISE_SECONDS = 20.0
SLOW_TO_TRY = ("hang", "slow", "oom")
KEPT_DUPLICATES = 100
LAST = 1 << 40  # in the queue
_FALLBACK = {"crash": "crash", "leak": "leak", "timeout": "hang", "oom": "oom", "slow-unit": "slow"}


class Triage(threading.Thread):
    """Works beside the workers on one input after the other."""

    def __init__(self, place: Place, combinations: list[Combination], say, elapsed):
        super().__init__(name="triage", daemon=True)
        self._place = place
        self._crashes = place.run.crashes
        self._by_name = {each.name: each for each in combinations}
        self._say = say
        self._elapsed = elapsed
        self._bench = Bench(place.run.work / "triage", place.run.folder, place.unit_timeout)
        self._clock = Clock()
        self._queue: queue.PriorityQueue = queue.PriorityQueue()
        self._submitted: Counter = Counter()
        self.findings = load(self._crashes)
        self.problem: OSError | None = None
        self.submit_waiting()
        for finding in self.findings.values():
            self._plan_minimising(finding)

    def submit(self, path: Path) -> None:
        """The first of its kind from each combination comes early; what takes long to confirm lets some others pass."""
        prefix = path.name.rpartition("-")[0]
        self._submitted[path.parent.name, prefix] += 1
        delay = 4 if prefix in ("timeout", "slow-unit") else 0
        self._queue.put((self._submitted[path.parent.name, prefix] + delay, str(path)))

    def submit_waiting(self) -> None:
        """What an earlier session, or a full disk, has left."""
        for path in self.waiting():
            self.submit(path)

    def waiting(self) -> list[Path]:
        return sorted(path for path in self._place.run.incoming.glob("*/*") if ARTIFACT.fullmatch(path.name))

    def finish(self, seconds: float) -> float:
        """Work off what is waiting, but no longer than this; returns when that is over, with time for the last one."""
        self._clock.deadline = time.monotonic() + seconds
        self._queue.put((math.inf, ""))
        return self._clock.deadline + 5

    def run(self) -> None:
        while path := self._queue.get()[1]:
            try:
                self._take(Path(path))
            except OSError as error:
                # The disk is full, say. The input is still where it was; a resumed job looks at it again.
                self.problem = error

    def _take(self, path: Path) -> None:
        if path.parent == self._crashes:
            self._minimise(self.findings[path.name])
        elif path.exists():
            self._examine(path)

    def _examine(self, path: Path) -> None:
        """When the time is over, the worker's own log must do; what has none waits for --resume."""
        combination = self._by_name[path.parent.name.rpartition("-")[0]]
        log = read_log(path.with_suffix(".log"))
        explained = crash.read(log)
        if explained and self._is_known(combination, explained):
            self._count(combination, explained, path)
            return
        judge, outcome = self._judge(combination, path)
        in_time = self._clock.left(1.0) > 0
        if not judge and not explained and not in_time:
            return
        report = outcome.report or outcome.slow() or explained or _unexplained(path)
        if report is None:
            self._put_aside(path)
        elif self._is_known(combination, report) or (not judge and _id(combination, report) in self.findings):
            self._count(combination, report, path)
        else:
            reproducible = True if judge else False if in_time else None
            self._found(judge or combination, combination, path, report, outcome.log or log, reproducible)

    def _is_known(self, combination: Combination, report: crash.Report) -> bool:
        known = self.findings.get(_id(combination, report))
        return known is not None and known.reproducible is True

    def _judge(self, combination: Combination, path: Path) -> tuple[Combination | None, Outcome]:
        """Who confirms it, and what that printed."""
        times = 3 if path.name.startswith(("slow-unit", "timeout")) else 1
        for judge in judges(combination):
            binary = self._place.binaries.fuzzer(judge)
            if not binary.exists() or not self._clock.left(1.0):
                continue
            outcome = self._bench.execute(binary, path, times, self._clock.left(60.0))
            if outcome.report or outcome.slow():
                return judge, outcome
        return None, Outcome("")

    def _found(self, judge, combination, path: Path, report: crash.Report, log: str, reproducible: bool | None) -> None:
        content = path.read_bytes()
        finding = Finding(_id(combination, report), judge.target, judge.engine, judge.sanitizer, report.kind,
                          report.title, report.message, [str(frame) for frame in report.frames[:12]], reproducible,
                          combination.name, round(self._elapsed(), 1), len(content), signature=report.signature)
        folder = self._crashes / finding.id
        folder.mkdir(exist_ok=True)
        atomic.write(folder / "input", content)
        atomic.write(folder / "report.txt", log.encode())
        self._save(finding)
        self.findings[finding.id] = finding
        _discard(path)
        self._say(f"found: {finding.kind} in {finding.target}: {finding.message}")
        self._plan_minimising(finding)

    def _save(self, finding: Finding) -> None:
        """The text first: a finding.json says that everything else is there."""
        folder = self._crashes / finding.id
        text = scenario.decode(self._place.binaries.scenario, finding.smallest(folder))
        atomic.write(folder / "scenario.txt", text.encode())
        atomic.write_json(folder / "finding.json", asdict(finding))

    def _plan_minimising(self, finding: Finding) -> None:
        """For when nothing else waits."""
        if finding.reproducible and not finding.minimising:
            self._queue.put((LAST, str(self._crashes / finding.id)))

    def _minimise(self, finding: Finding) -> None:
        patience = self._clock.left(MINIMISE_SECONDS)
        # After the end only what is quick; a resumed job does the rest.
        if patience < (MINIMISE_SECONDS if finding.kind in SLOW_TO_TRY else 1.0):
            return
        original = (self._crashes / finding.id / "input").read_bytes()
        content = self._shrink(finding, self._leave_out_records(finding, original, patience / 2), patience / 2)
        if len(content) < len(original):
            finding.minimised_size = len(content)
            atomic.write(self._crashes / finding.id / "minimised", content)
        finding.minimising = "done" if len(content) < len(original) else "nothing smaller found"
        self._save(finding)

    def _leave_out_records(self, finding: Finding, content: bytes, seconds: float) -> bytes:
        deadline = time.monotonic() + seconds
        return without_records(content, lambda shorter: time.monotonic() < deadline and
                               self._signature(finding, shorter) == finding.signature)

    def _shrink(self, finding: Finding, content: bytes, seconds: float) -> bytes:
        """libFuzzer takes any failure for the same one, so what it returns is looked at again."""
        if finding.kind in SLOW_TO_TRY or len(content) <= 1:
            return content
        source = self._bench.put(content)
        smaller = self._bench.shrink(self._place.binaries.fuzzer(finding.combination), source, seconds)
        if not smaller or len(smaller) >= len(content):
            return content
        signature = self._signature(finding, smaller)
        if signature == finding.signature:
            return smaller
        if signature:
            self._submit_other(finding, smaller)
        return content

    def _signature(self, finding: Finding, content: bytes) -> str:
        """What that input shows in the finding's binary; a hang is told from less by a shorter alarm."""
        outcome = self._bench.execute(self._place.binaries.fuzzer(finding.combination), self._bench.put(content),
                                      unit_timeout=1 if finding.kind == "hang" else 0, patience=30.0)
        report = outcome.report or outcome.slow()
        return report.signature if report else ""

    def _submit_other(self, finding: Finding, content: bytes) -> None:
        """On the way to a smaller input another failure was met."""
        folder = self._place.run.incoming / f"{finding.combination.name}-0"
        folder.mkdir(exist_ok=True)
        path = folder / f"crash-{content_name(content)}"
        atomic.write(path, content)
        self.submit(path)

    def _count(self, combination: Combination, report: crash.Report, path: Path) -> None:
        finding = self.findings[_id(combination, report)]
        folder = self._crashes / finding.id
        more = folder / "more"
        more.mkdir(exist_ok=True)
        if len(os.listdir(more)) < KEPT_DUPLICATES:
            atomic.write(more / path.name.rpartition("-")[2], path.read_bytes())
        finding.count += 1
        atomic.write_json(folder / "finding.json", asdict(finding))
        _discard(path)

    def _put_aside(self, path: Path) -> None:
        """Slow once, and fast each time we looked: the machine was busy. The input is kept all the same."""
        self._place.run.unconfirmed.mkdir(exist_ok=True)
        shutil.move(path, self._place.run.unconfirmed / path.name)
        _discard(path)


def _id(combination: Combination, report: crash.Report) -> str:
    return f"{combination.target}-{report.kind}-{report.key}"


def _unexplained(path: Path) -> crash.Report | None:
    """For what nothing confirms and no log explains. Slowness that does not come back was the machine's."""
    kind = _FALLBACK[path.name.rpartition("-")[0]]
    if kind in ("hang", "slow"):
        return None
    return crash.Report(kind, "not reproduced", "the engine saw it once, and no binary shows it again")


def _discard(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_suffix(".log").unlink(missing_ok=True)
