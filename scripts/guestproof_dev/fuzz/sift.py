"""Before libFuzzer starts: takes out of its inputs those that break the target, which would end it while it loads them.

Runs as the worker's own process and becomes libFuzzer at the end. A bug that only one sanitizer sees is met by hundreds
of the others' inputs; without symbols each costs a few hundredths of a second.
"""

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from guestproof_dev.fuzz.conditions import EXIT_KINDS, SLOW_MILLISECONDS, WITHOUT_SYMBOLS

BATCH = 1000
# More of the same help nobody: triage gets so many of the inputs, and the rest stay in the pool.
HANDED_ON = 20
SLOW_HANDED_ON = 5
_RUNNING = re.compile(rb"^Running: (.*)$", re.MULTILINE)
_EXECUTED = re.compile(rb"^Executed (.*) in (\d+) ms$", re.MULTILINE)


def wrap(command: list, flags: list[str], inputs: Path, incoming: Path) -> list:
    return [sys.executable, "-s", "-P", "-m", __name__, inputs, incoming, " ".join(flags), *command]


def sift(binary: str, flags: list[str], inputs: Path, incoming: Path) -> None:
    waiting = sorted(inputs.iterdir())
    handed_on = 0
    while waiting:
        batch = waiting[:BATCH]
        done = subprocess.run([binary, *flags, *batch], env={**os.environ, **WITHOUT_SYMBOLS}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        if done.returncode == -signal.SIGKILL:
            os.kill(os.getpid(), signal.SIGKILL)  # no input does that; the supervisor is to see it
        report_slow(done.stderr, incoming)
        started = _RUNNING.findall(done.stderr)
        if done.returncode == 0 or not started:
            waiting = waiting[len(batch):]
            continue
        culprit = Path(os.fsdecode(started[-1]))
        waiting = waiting[len(started):]
        if handed_on < HANDED_ON:
            kind = EXIT_KINDS.get(done.returncode, "crash")
            culprit.rename(incoming / f"{kind}-{culprit.name}")
            handed_on += 1
        else:
            culprit.unlink()


def report_slow(log: bytes, incoming: Path) -> None:
    """A slow input does not end libFuzzer, so it stays; triage measures it again on its own."""
    slow = [path for path, milliseconds in _EXECUTED.findall(log) if int(milliseconds) > SLOW_MILLISECONDS]
    for path in map(Path, map(os.fsdecode, slow[:SLOW_HANDED_ON])):
        with suppress(FileExistsError):
            os.link(path, incoming / f"slow-unit-{path.name}")


def main() -> None:
    # The supervisor ends a slice by SIGINT; Python would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    inputs, incoming, flags, *command = sys.argv[1:]
    sift(command[0], flags.split(), Path(inputs), Path(incoming))
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
