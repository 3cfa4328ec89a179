"""One program against the committed inputs, then against the engine, until something notices or time is up."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

from guestproof_dev.fuzz import leash
from guestproof_dev.fuzz.conditions import ENVIRONMENT, limits
from guestproof_dev.fuzz.worker import INPUT_LIMIT

UNIT_TIMEOUT = 10  # seconds; what takes longer hangs
_GRACE = 30  # seconds for a program to end by itself
_ORACLE = re.compile(r"^guestproof: ORACLE ([a-z-]+):", re.MULTILINE)
_SIGNS = {
    "invariant": re.compile(r": invariant broken: "),
    "sanitizer": re.compile(r"ERROR: (Address|Leak)Sanitizer"),
    "timeout": re.compile(r"ERROR: libFuzzer: timeout"),
}
_FUZZING = re.compile(r"^#\d+\s+INITED", re.MULTILINE)
_EXECUTIONS = re.compile(r"^stat::number_of_executed_units:\s+(\d+)", re.MULTILINE)


class Trial:
    """A program at work in a folder of its own, where its log and what broke it stay."""

    def __init__(self, program: Path, folder: Path, inputs: list[Path], seconds: int):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "found").mkdir(parents=True)
        self.program = Path(shutil.copy2(program, folder))  # the next build writes over it
        self.folder, self._log = folder, folder / "log"
        command = [self.program, "-seed=1", f"-max_total_time={seconds}", f"-max_len={INPUT_LIMIT}",
                   *limits(UNIT_TIMEOUT), "-print_final_stats=1", f"-artifact_prefix={folder}/", folder / "found",
                   *inputs]
        self._started = time.monotonic()
        self._deadline = self._started + seconds + UNIT_TIMEOUT + _GRACE
        with open(self._log, "wb") as log:
            self._process = leash.start(command, folder, "trial", ENVIRONMENT, stdout=log, stderr=log, cwd=folder)

    def ended(self) -> bool:
        now = time.monotonic()
        if now > self._deadline:
            leash.kill(self._process)
        if self._process.poll() is None:
            return False
        self.seconds = now - self._started
        self.program.unlink()
        shutil.rmtree(self.folder / "found")
        return True

    def kill(self) -> None:
        leash.kill(self._process)

    @property
    def finder(self) -> str | None:
        """Who noticed; None when nobody did."""
        return _finder(self._process.returncode, self._text)

    @property
    def by(self) -> str:
        """Whether the committed inputs were enough."""
        return "fuzz" if _FUZZING.search(self._text) else "replay"

    @property
    def executions(self) -> int:
        total = _EXECUTIONS.search(self._text)
        return int(total[1]) if total else 0

    @property
    def witness(self) -> Path | None:
        """The input that broke it."""
        return next((path for path in self.folder.iterdir() if re.match(r"(crash|leak|timeout|oom)-", path.name)), None)

    @property
    def _text(self) -> str:
        return self._log.read_text(errors="replace")


def replay(program: Path, inputs: list[Path]) -> str | None:
    """Runs inputs, files or folders, and says who noticed something; None when nobody did."""
    fixed = ["-runs=0"] if any(path.is_dir() for path in inputs) else []
    done = subprocess.run([program, *fixed, *limits(UNIT_TIMEOUT), f"-max_len={INPUT_LIMIT}",
                           f"-artifact_prefix={program}-", *inputs], env={**os.environ, **ENVIRONMENT},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace")
    return _finder(done.returncode, done.stderr)


def _finder(code: int, text: str) -> str | None:
    if code == 0:
        return None
    oracle = _ORACLE.search(text)
    signs = [name for name, pattern in _SIGNS.items() if pattern.search(text)]
    return oracle[1] if oracle else (signs or [f"exit code {code}"])[0]
