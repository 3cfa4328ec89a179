"""Builds the planted target once, and runs `scripts/dev fuzz` and its relatives on it."""

import fcntl
import json
import os
import re
import subprocess
import time
from pathlib import Path

from guestproof_dev import setup
from guestproof_dev.paths import BUILD, ROOT

DEV = ROOT / "scripts" / "dev"
SOURCE = Path(__file__).with_name("planted_fuzz.cc")
BINARIES = BUILD / "planted"
PATIENCE = 30.0  # seconds until an event that takes one or two
_FLAGS = {
    "fuzz-libfuzzer-asan": ["-fsanitize=fuzzer,address"],
    "fuzz-libfuzzer-ubsan": ["-fsanitize=fuzzer,undefined", "-fno-sanitize-recover=all"],
    "fuzz-afl": ["-fsanitize-coverage=trace-pc-guard,trace-cmp"],
}
_AFL_DRIVER = ["/usr/lib/afl/libAFLDriver.a", "/usr/lib/afl/afl-compiler-rt.o"]
_SCENARIO = '#!/bin/sh\n[ "$1" = decode ] && exec od -An -c -- "$2"\n'


def build() -> Path:
    """Laid out as the real build folders are."""
    setup.ensure({"fuzz", "report"})
    BINARIES.mkdir(parents=True, exist_ok=True)
    with open(BINARIES / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        compilers = [_compile(preset, flags) for preset, flags in _FLAGS.items() if _is_old(_binary(preset))]
        assert [compiler.wait() for compiler in compilers] == [0] * len(compilers)
        scenario = BINARIES / "dev" / "fuzz" / "scenario"
        scenario.parent.mkdir(parents=True, exist_ok=True)
        scenario.write_text(_SCENARIO)
        scenario.chmod(0o755)
    return BINARIES


def _binary(preset: str) -> Path:
    return BINARIES / preset / "fuzz" / "planted_fuzz"


def _is_old(binary: Path) -> bool:
    return not binary.exists() or binary.stat().st_mtime < max(SOURCE.stat().st_mtime, Path(__file__).stat().st_mtime)


def _compile(preset: str, flags: list[str]) -> subprocess.Popen:
    _binary(preset).parent.mkdir(parents=True, exist_ok=True)
    libraries = _AFL_DRIVER if preset == "fuzz-afl" else []
    return subprocess.Popen(["clang++-19", "-std=c++20", "-O1", "-gline-tables-only", *flags, str(SOURCE), *libraries,
                             "-o", str(_binary(preset))])


class Jobs:
    """Runs jobs below one folder, with a corpus of its own."""

    def __init__(self, folder: Path, binaries: Path, bugs: str = ""):
        self.out = folder / "out"
        self.corpus = folder / "corpus"
        self.binaries = binaries
        self.environment = {**os.environ, "GUESTPROOF_PLANTED": bugs}
        (self.corpus / "planted" / "seeds").mkdir(parents=True)

    def seed(self, name: str, content: bytes) -> None:
        (self.corpus / "planted" / "seeds" / name).write_bytes(content)

    def dev(self, *words, **options) -> subprocess.CompletedProcess:
        done = subprocess.run([str(DEV), *map(str, words)], capture_output=True, text=True, timeout=120,
                              env=self.environment, **options)
        assert "Traceback" not in done.stderr, done.stderr
        return done

    def words(self, *more) -> list[str]:
        return ["fuzz", "--binaries", self.binaries, "--corpus", self.corpus, "--out", self.out, "--unit-timeout", "2",
                "--seed", "1", *more]

    def fuzz(self, *more) -> subprocess.CompletedProcess:
        return self.dev(*self.words(*more))

    def fuzz_again(self, *more) -> subprocess.CompletedProcess:
        """A resumed job knows its programs and inputs."""
        return self.dev("fuzz", "--out", self.out, *more)

    def start(self, *more) -> "Running":
        return Running(self, self.words(*more))

    @property
    def run(self) -> Path:
        return (self.out / "latest").resolve()

    def summary(self) -> dict:
        return json.loads((self.run / "summary.json").read_text())

    def kinds(self) -> list[str]:
        return sorted(finding["kind"] for finding in self.summary()["findings"])

    def finds(self) -> set[str]:
        """The names of all inputs found, those included that smaller ones have replaced."""
        return {path.name for path in (self.run / "corpus" / "planted").rglob("*")
                if path.is_file() and not path.name.startswith(".")}


class Running:
    """A job in the background, with what it says."""

    def __init__(self, jobs: Jobs, words: list):
        self.jobs = jobs
        self.said = jobs.out.parent / "said"
        with open(self.said, "wb") as output:
            self.process = subprocess.Popen([str(DEV), *map(str, words)], stdout=output, stderr=subprocess.STDOUT,
                                            env=jobs.environment, start_new_session=True)

    def output(self) -> str:
        return self.said.read_text()

    def wait_for(self, condition, what: str):
        """Polls until the condition holds; it must while the job runs."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            result = condition()
            if result:
                return result
            assert self.process.poll() is None, f"the job ended before {what}: {self.output()}"
            time.sleep(0.05)
        raise AssertionError(f"{what} did not happen: {self.output()}")

    def wait_for_words(self, pattern: str, times: int = 1) -> None:
        self.wait_for(lambda: len(re.findall(pattern, self.output())) >= times, f"'{pattern}'")

    def wait_for_workers(self) -> None:
        self.wait_for(lambda: self.jobs.out.exists() and workers(self.jobs.run), "a worker")

    def end(self) -> int:
        code = self.process.wait(PATIENCE)
        assert "Traceback" not in self.output(), self.output()
        return code


def workers(run: Path) -> list[int]:
    """The living processes that carry the run's name."""
    mark = f"GUESTPROOF_FUZZ_RUN={run}#".encode()
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and mark in (entry / "environ").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found
