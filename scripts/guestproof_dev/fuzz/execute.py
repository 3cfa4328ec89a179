"""Run one input, once or a few times, in a fuzz binary, and read what came of it."""

import math
import os
import re
import select
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from guestproof_dev import crash
from guestproof_dev.fuzz import leash
from guestproof_dev.fuzz.conditions import ENVIRONMENT, SLOW_MILLISECONDS, limits

_EXECUTED = re.compile(r"^Executed .* in (\d+) ms$", re.MULTILINE)


@dataclass
class Outcome:
    log: str
    report: crash.Report | None = None
    milliseconds: list[int] = field(default_factory=list)
    finished: bool = True  # False when we ran out of patience and ended it
    processor_milliseconds: float = math.inf  # of all runs and the start of the program

    def one_execution(self) -> int:
        """How long one takes, in ms. A busy machine makes any single one slow, so the fastest of several counts, and none
        takes longer than the processors worked for it."""
        if not self.milliseconds:
            return 0
        return int(min(*self.milliseconds, self.processor_milliseconds / len(self.milliseconds)))

    def slow(self) -> crash.Report | None:
        if self.report or self.one_execution() <= SLOW_MILLISECONDS:
            return None
        return crash.Report("slow", "slow unit",
                            f"one execution takes {self.one_execution()} ms; the limit is {SLOW_MILLISECONDS} ms")


class Bench:
    """A place to run inputs: a folder for what the binaries leave behind, and the run they belong to."""

    def __init__(self, folder: Path, run: Path, unit_timeout: int):
        self.folder = folder
        self._run = run
        self._unit_timeout = unit_timeout

    def execute(self, binary: Path, path: Path, times: int = 1, patience: float = 120.0,
                unit_timeout: int = 0) -> Outcome:
        flags = [*limits(unit_timeout or self._unit_timeout), f"-artifact_prefix={self.folder}/again-"]
        log, code, processor = self.run([binary, *flags, *[path] * times], patience)
        report = crash.read(log)
        if code not in (0, None) and not report:
            report = crash.Report("crash", f"exit code {code}", f"the program ended with exit code {code}")
        return Outcome(log, report, [int(each) for each in _EXECUTED.findall(log)], code is not None,
                       processor)

    def put(self, content: bytes) -> Path:
        """A file with that content, for the next run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "input"
        path.write_bytes(content)
        return path

    def shrink(self, binary: Path, path: Path, patience: float) -> bytes:
        """libFuzzer's smallest input that still breaks something, perhaps something else; empty when there is none."""
        smaller = self.folder / "smaller"
        smaller.unlink(missing_ok=True)
        # One step ends after this long without success; the whole is ended by our patience.
        step = max(1, int(patience / 5))
        self.run([binary, "-minimize_crash=1", f"-max_total_time={step}", f"-exact_artifact_path={smaller}",
                  *limits(self._unit_timeout), path], patience)
        return smaller.read_bytes() if smaller.exists() else b""

    def run(self, command: list, patience: float) -> tuple[str, int | None, float]:
        """Output, exit code, and milliseconds of processor time; no exit code when it took too long."""
        self.folder.mkdir(parents=True, exist_ok=True)
        output = self.folder / "log"
        with open(output, "wb") as log:
            process = leash.start(command, self._run, self.folder.name, ENVIRONMENT, stdout=log, stderr=log, cwd=self.folder)
        try:
            in_time = _ends(process, patience)
            if not in_time:
                os.killpg(process.pid, signal.SIGKILL)
            processor = _reap(process)
        finally:
            leash.kill(process)
        return output.read_text(errors="replace"), process.returncode if in_time else None, processor


def _ends(process: subprocess.Popen, patience: float) -> bool:
    end = os.pidfd_open(process.pid)
    try:
        return bool(select.select([end], [], [], patience)[0])
    finally:
        os.close(end)


def _reap(process: subprocess.Popen) -> float:
    """The milliseconds that processors worked for it; Popen itself would throw them away."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return (usage.ru_utime + usage.ru_stime) * 1000


class Clock:
    """Time that is left until a deadline, which may be moved."""

    def __init__(self):
        self.deadline = float("inf")

    def left(self, at_most: float) -> float:
        return max(0.0, min(at_most, self.deadline - time.monotonic()))
