"""Processes that cannot outlive the job.

The kernel ends a worker when its supervisor dies (PR_SET_PDEATHSIG). That does not reach the children of afl-fuzz, which
live in sessions of their own and may be stopped or spinning. So every process of a job carries the job's name in its
environment, and a guardian, which only notices that the supervisor is gone, ends all that carry it.

afl-fuzz also leaves shared memory behind when it is killed; each worker's folder says by `pid` whose that is.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

MARK = "GUESTPROOF_FUZZ_RUN"
# For the kernel a worker is a better victim than the supervisor when memory runs out.
_LEASH = ["choom", "-n", "500", "--", "setpriv", "--pdeathsig", "KILL", "--"]


def start(command: list, run: Path, name: str, environment: dict[str, str], **options) -> subprocess.Popen:
    """Starts the command in a session of its own: what the terminal sends reaches only the supervisor."""
    return subprocess.Popen([*_LEASH, *map(str, command)], env={**os.environ, **environment, MARK: f"{run}#{name}#"},
                            stdin=subprocess.DEVNULL, start_new_session=True, **options)


def forget_shared_memory(process_ids: set[int]) -> None:
    """Removes the shared memory that afl-fuzz leaves when it is killed: its creators are gone, and nobody is attached."""
    for line in _lines("/proc/sysvipc/shm")[1:]:
        identifier, creator, attached = (int(line.split()[column]) for column in (1, 4, 6))
        if creator in process_ids and not attached:
            subprocess.run(["ipcrm", "-m", str(identifier)], stderr=subprocess.DEVNULL)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def kill(process: subprocess.Popen) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def sweep(run: Path, name: str = "") -> int:
    """Ends every process of the run, or of one name in it; returns how many there were."""
    mark = f"{MARK}={run}#{name}#".encode() if name else f"{MARK}={run}#".encode()
    victims = [pid for pid in _processes() if any(entry.startswith(mark) for entry in _environment(pid))]
    for pid in victims:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGKILL)
    return len(victims)


def _processes() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit() and int(entry) != os.getpid()]


def _environment(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []


def clear(run: Path) -> None:
    """Ends all that a run has left, and removes what it holds."""
    # A forkserver may be starting one more child while we look.
    while sweep(run):
        time.sleep(0.05)
    forget_shared_memory({int(path.read_text() or 0) for path in run.glob("work/*/pid")})


class Guardian:
    """A process that waits for ours to end, however it ends, and then sweeps."""

    def __init__(self, run: Path):
        command = [sys.executable, "-s", "-P", "-c", f"from {__name__} import watch; watch()", str(run)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True,
                                         env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])})

    def dismiss(self) -> None:
        """Ends the watch; what is still alive of the run goes too."""
        self._process.stdin.close()
        self._process.wait()


def watch() -> None:
    """The guardian's whole life."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    clear(Path(sys.argv[1]))
