"""One engine at work on one combination for one slice of time; libfuzzer.py and afl.py know the engines."""

import os
import re
import shutil
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from guestproof_dev.fuzz import atomic, depth, leash
from guestproof_dev.fuzz.binaries import Binaries
from guestproof_dev.fuzz.combination import Combination
from guestproof_dev.fuzz.pool import Intake, Pool, content_name
from guestproof_dev.fuzz.run import Run

# Time to write the final statistics after being asked to end.
GRACE = 3.0
# What an engine calls an input that broke something: libFuzzer's names, for all.
ARTIFACT = re.compile(r"(crash|leak|timeout|oom|slow-unit)-[0-9a-f]{40}")
INPUT_LIMIT = 2048  # bytes: kMaxRecords of kRecordBytes (testing/scenario/record.h)


@dataclass(frozen=True)
class Place:
    """What all workers of a job share."""

    run: Run
    binaries: Binaries
    unit_timeout: int  # seconds


@dataclass
class Figures:
    executions: int = 0
    rate: int = 0  # executions per second
    edges: int = 0
    features: int = 0
    corpus: int = 0
    memory: int = 0  # bytes now
    most_memory: int = 0


class Worker:
    def __init__(self, place: Place, combination: Combination, lane: int, pool: Pool):
        self.place = place
        self.combination = combination
        self.lane = lane
        self.name = f"{combination.name}-{lane}"
        self.folder = place.run.work / self.name
        self.incoming = place.run.incoming / self.name
        self.log = self.folder / "log"
        self.figures = Figures()
        self.finds = 0
        self.artifacts: list[Path] = []  # inputs that broke something, ready for triage
        self.pool = pool
        self._finds = Intake(self.finds_folder, self.is_find, lambda _name, content: pool.add(content))
        self._kept: list[Path] = []
        self.submitted = 0  # of the artifacts
        self._asked_to_end = 0.0
        self._process = None
        self.input = self.folder / "in"
        self.input_names: set[str] = set()

    def start(self, seconds: float, seed: int, left_out: set[str]) -> None:
        """Starts from everything known but the inputs left out: those break the target, and would do so each time."""
        self.seed = seed
        self.started = time.monotonic()
        self.until = self.started + seconds
        shutil.rmtree(self.folder, ignore_errors=True)
        self.input.mkdir(parents=True)
        self.incoming.mkdir(parents=True, exist_ok=True)
        self._gather_inputs(left_out)
        self.prepare()
        environment = {depth.VARIABLE: str(self.place.run.depth / self.name), **self.environment()}
        with open(self.log, "wb") as log:
            self._process = leash.start(self.command(), self.place.run.folder, self.name, environment, stdout=log,
                                        stderr=log, cwd=self.folder)
        (self.folder / "pid").write_text(str(self._process.pid))

    def _gather_inputs(self, left_out: set[str]) -> None:
        target = self.combination.target
        for folder in (self.place.run.corpus(target), *self.place.binaries.inputs(target)):
            for path in folder.iterdir():
                if path.is_file() and not path.name.startswith("."):
                    self._gather(path.read_bytes(), left_out)

    def _gather(self, content: bytes, left_out: set[str]) -> None:
        name = content_name(content)
        if content and name not in left_out:
            (self.input / name).write_bytes(content)
            self.input_names.add(name)

    def blocking_inputs(self) -> set[str]:
        """Names of the inputs it was given that broke the target."""
        return self.input_names & {path.name.rpartition("-")[2] for path in self.artifacts
                                   if not path.name.startswith("slow-unit")}

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started

    @property
    def rate(self) -> int:
        """Executions per second; the engines need a while before they tell."""
        return self.figures.rate or int(self.figures.executions / max(self.seconds, 0.1))

    @property
    def was_asked_to_end(self) -> bool:
        return self._asked_to_end > 0

    @property
    def was_killed(self) -> bool:
        """From outside: the kernel does that when memory runs out."""
        return self._process.returncode == -signal.SIGKILL and not self.was_asked_to_end

    def end(self) -> None:
        """Asks; poll() sees to it that it happens."""
        if not self.was_asked_to_end:
            self._asked_to_end = time.monotonic()
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGINT)

    def poll(self) -> bool:
        """Whether it is still at work. Brings the figures, the finds and the crashes up to date."""
        now = time.monotonic()
        if now >= self.until:
            self.end()
        if self.was_asked_to_end and now > self._asked_to_end + GRACE:
            leash.kill(self._process)
        alive = self._process.poll() is None
        self.take(final=not alive)
        return alive

    def take(self, final: bool) -> None:
        self.finds += self._finds.take(final)
        self.artifacts += self.new_artifacts(final)
        self.read_figures()
        self.figures.memory = _memory(self._process.pid)
        self.figures.most_memory = max(self.figures.most_memory, self.figures.memory)

    def adopt(self) -> None:
        """Instead of a start: takes what a worker had found that was killed together with its supervisor."""
        self._finds.take(final=True)
        self.salvage()
        self.dismiss()

    def dismiss(self) -> None:
        """After its end: nothing of it stays, neither children nor files."""
        leash.sweep(self.place.run.folder, self.name)
        if self._process:
            leash.forget_shared_memory({self._process.pid})
        shutil.rmtree(self.folder, ignore_errors=True)

    def last_words(self) -> str:
        """The line in which the engine says why it ended."""
        return _complaint(self.output())

    def output(self) -> str:
        return read_log(self.log)

    def keep(self, kind: str, content: bytes) -> None:
        """Puts an input that broke something where triage finds it."""
        path = self.incoming / f"{kind}-{content_name(content)}"
        atomic.write(path, content)
        self._kept.append(path)

    def newly_kept(self) -> list[Path]:
        kept, self._kept = self._kept, []
        return kept


def read_log(path: Path, limit: int = 1 << 20) -> str:
    """The end of a log; hostile bytes in it become question marks."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.path.getsize(path) - limit))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


def _complaint(log: str) -> str:
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    telling = [line for line in lines if "ABORT" in line or "ERROR" in line or "error" in line]
    return (telling or lines or ["it said nothing"])[-1]


def _memory(pid: int) -> int:
    """Resident bytes of the process and its descendants; shared pages count once per process."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(_memory(int(child)) for child in children)
