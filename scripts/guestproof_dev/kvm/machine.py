"""A machine that has a KVM, emulated by QEMU for the time of one command, with the host's files in it.

It sees the host's root read-only by 9p, under an overlay that ends with it, and writes into one folder of the host, the
share: `stdout` and `stderr` as the command writes them, then out/ and `code`. It has no network and no disk.
"""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from guestproof_dev import process
from guestproof_dev.errors import Fail
from guestproof_dev.kvm import initramfs, scratch
from guestproof_dev.kvm.architectures import Architecture
from guestproof_dev.kvm.kernels import Kernel

MEMORY = 1024  # MiB
CPUS = 1  # two emulated ones on a busy host wait for each other: aarch64 and riscv64 then take twice as long
BOOT = 60  # seconds; it takes 3 on an idle host, 18 on one with six times as much to do as it has CPUs
ATTEMPTS = 3  # machines: on a busy host QEMU's emulated hypervisors hang once in some fifty times
HEARTBEAT = 45  # seconds without a sign of life, which the machine gives every second
TICK = 0.02  # seconds between two looks at the command's output
TAIL = 80  # lines of the console that are shown when a machine has died: a panic's are some 40, and its reason the first
_HUNG = "it hung"


@dataclass(frozen=True)
class Job:
    command: list[str]
    environment: dict[str, str]
    folder: Path  # where it runs
    out: Path  # what it leaves there is brought out
    limit: int  # seconds


class Late(Exception):
    """The command was ended by its time limit."""


class _Hung(Fail):
    """The machine gives no sign of life any more."""


def run(architecture: Architecture, kernel: Kernel, job: Job) -> int:
    """The command's exit code; its output has then been passed on, and what it left in `out` is there. A machine that
    hangs is thrown away with all that the command did, and the command starts anew in another one."""
    for _ in range(ATTEMPTS - 1):
        try:
            return _run_once(architecture, kernel, job)
        except _Hung:
            print("dev: a nested machine has hung; the command is run again in another one.", file=sys.stderr, flush=True)
    return _run_once(architecture, kernel, job)


def _run_once(architecture: Architecture, kernel: Kernel, job: Job) -> int:
    with scratch.folder() as folder:
        share = folder / "share"
        (share / "out").mkdir(parents=True)
        image, console = folder / "initramfs", folder / "console"
        image.write_bytes(initramfs.make(kernel, job.command, job.environment, job.folder, job.out, job.limit))
        ended = _watch(_emulator(architecture, kernel.image, image, console, share), share)
        _bring_out(share / "out", job.out)
        if (share / "late").exists():
            raise Late
        if (share / "code").exists():
            return int((share / "code").read_text())
        problem = f"the nested {architecture.name} machine has not run the command to its end: {ended}. Its console ends with:"
        complaint = "\n    ".join([problem, *_tail(console)])
        raise _Hung(complaint) if ended == _HUNG else Fail(complaint)


def _emulator(architecture: Architecture, kernel: Path, image: Path, console: Path, share: Path) -> list[str]:
    def folder(name: str, path: str, more: str = "") -> list[str]:
        return ["-fsdev", f"local,id={name},path={path.replace(',', ',,')},security_model=none,multidevs=remap{more}",
                "-device", f"{architecture.disk},fsdev={name},mount_tag={name}"]

    # The kernel ends it when we end, however we end.
    return ["setpriv", "--pdeathsig", "KILL", "--", architecture.emulator, *architecture.machine,
            "-accel", "tcg,thread=multi", "-smp", str(CPUS), "-m", str(MEMORY),
            "-no-user-config", "-nodefaults", "-nic", "none", "-display", "none", "-no-reboot",
            "-kernel", kernel, "-initrd", image, "-append",
            f"console={architecture.console} quiet loglevel=3 panic=-1 mitigations=off cryptomgr.notests",
            "-serial", f"file:{console}", *folder("host", "/", ",readonly=on"), *folder("share", str(share))]


def _watch(command: list, share: Path) -> str:
    """Passes on what the command says until the machine ends; returns how it ended."""
    with process.start(command, stdin=subprocess.DEVNULL, stdout=2) as child:
        return _pass_on(child, share)


def _pass_on(child: subprocess.Popen, share: Path) -> str:
    streams = [(share / "stdout", sys.stdout.fileno()), (share / "stderr", sys.stderr.fileno())]
    offsets = [0, 0]
    alive, deadline = 0, time.monotonic() + BOOT
    while True:
        ended, late = child.poll() is not None, time.monotonic() > deadline
        for index, (path, fd) in enumerate(streams):
            offsets[index] += _copy(path, offsets[index], fd)
        if ended:
            return f"the emulator ended with {child.returncode}" if child.returncode else "it went down by itself"
        if late:
            child.kill()
            return _HUNG
        if (beat := _last_change(share / "alive")) != alive:
            alive, deadline = beat, time.monotonic() + HEARTBEAT
        time.sleep(TICK)


def _last_change(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


def _copy(path: Path, offset: int, fd: int) -> int:
    """Writes what the file has from there on; returns how many bytes that were."""
    if not path.exists() or path.stat().st_size <= offset:
        return 0
    with open(path, "rb") as file:
        file.seek(offset)
        data = memoryview(file.read())
    written = 0
    while written < len(data):
        written += os.write(fd, data[written:])
    return written


def _bring_out(source: Path, target: Path) -> None:
    """Copies what is in the one folder into the other, whose owner and mode stay."""
    for path in source.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.copytree(path, target / path.name, symlinks=True, dirs_exist_ok=True)
        else:
            shutil.copy2(path, target / path.name, follow_symlinks=False)


def _tail(console: Path) -> list[str]:
    return console.read_text(errors="replace").splitlines()[-TAIL:] if console.exists() else []
