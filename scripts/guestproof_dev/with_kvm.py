"""Run a command where there is a working KVM: on the host, or in a machine that is emulated for it.

The host's KVM is taken when a tiny guest in it can execute what stock kernels need. Else QEMU emulates a machine that
has one (4 s on two idle cores): the host's files are there, read-only under a layer that is thrown away; the command
runs as root in the same folder with empty stdin and no network, and its stdout, stderr and exit code are ours. What it
leaves in the folder $GUESTPROOF_OUT, which is empty in the machine, is brought out; where that is not set it is given a
temporary one. Emulated hypervisors hang now and then: a machine that gives no sign of life for 45 s is replaced, and
the command starts anew.

With --guest a stock kernel of Debian is there for the command to boot: $GUESTPROOF_GUEST_NAME is a folder with its
`kernel`, `modules/` and a static `busybox`, and `vmlinux` where the kernel is packed with xz (NAME in upper case, with _
for - and .).

For another architecture than the host's, COMMAND is a static program of that architecture. Emulators and kernels are
Debian packages: the emulators are installed, the kernels unpacked into ~/.cache/guestproof, when they are first needed.

The command's environment: PATH HOME USER LANG TZ TERM TMPDIR KVM_REQUIRED LLVM_PROFILE_FILE RC_PARAMS, and names that
begin with LC_ or GTEST_ or GUESTPROOF_ or end with SAN_OPTIONS.

Exit codes: the command's (128 + N for signal N); 124 after the time limit; 77 (skipped) when no KVM or no guest to boot
is to be had, with KVM_REQUIRED=machine or 1 in the environment 1 (1 also lets the test programs fail where this KVM
lacks what a case needs); 1 when the emulated machine breaks down, or what is in $GUESTPROOF_OUT cannot be brought out.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from guestproof_dev import duration, process, setup
from guestproof_dev.errors import Fail
from guestproof_dev.kvm import guests, kernels, machine, probe, scratch
from guestproof_dev.kvm.architectures import ALL, Architecture
from guestproof_dev.kvm.kernels import Kernel, Mirror
from guestproof_dev.kvm.machine import Job, Late

SKIPPED = 77
TIMED_OUT = 124
_PASSED_ON = re.compile(r"PATH|HOME|USER|LANG|TZ|TERM|TMPDIR|KVM_REQUIRED|LLVM_PROFILE_FILE|RC_PARAMS|"
                        r"(LC_|GTEST_|GUESTPROOF_)\w+|\w+SAN_OPTIONS")


def add_arguments(parser):
    parser.usage = "%(prog)s [--arch ARCH] [--nested auto|always|never] [--guest NAME] [--time LIMIT] -- COMMAND..."
    parser.add_argument("--arch", choices=ALL, default="x86_64", help="of the guests (default: x86_64)")
    parser.add_argument("--nested", choices=["auto", "always", "never"], default="auto",
                        help="whether in an emulated machine (auto: when the host's KVM is not good enough)")
    parser.add_argument("--guest", action="append", default=[], choices=guests.ALL, help="a kernel for the command to boot; "
                        "may be repeated")
    parser.add_argument("--time", default="5m", metavar="LIMIT", help="for the command, such as 90s (default: 5m)")
    parser.add_argument("command", nargs="+", metavar="COMMAND", help="what to run; write -- before it")


def main(args) -> int:
    architecture = ALL[args.arch]
    folder = _folder()
    with _out() as out:
        job = _job(args, architecture, folder, out)
        try:
            _get_guests(args.guest, job)
        except Fail as problem:
            return _without(f"there is no guest to boot: {str(problem).rstrip('.')}")
        complaint = probe.complaint(architecture) if args.nested != "always" else "--nested is always"
        try:
            if not complaint:
                return _on_host(job)
            if args.nested == "never":
                return _without(f"there is no KVM: {complaint}, and --nested is never")
            try:
                kernel = _material(architecture)
            except Fail as problem:
                return _without(f"there is no KVM: {complaint}, and no machine can be emulated: {str(problem).rstrip('.')}")
            return machine.run(architecture, kernel, job)
        except Late:
            print(f"dev: {args.command[0]} has not ended after {duration.show(job.limit)}.", file=sys.stderr)
            return TIMED_OUT


def _get_guests(names: list[str], job: Job) -> None:
    with kernels.Mirror() as mirror:
        for guest in map(guests.ALL.get, names):
            job.environment[guest.variable] = str(kernels.ensure(guest, mirror).folder)


def prepare(architecture: Architecture, names: list[str] = ()) -> list[str]:
    """Downloads and installs what is missing: what an emulated machine takes, where a command would run in one, and each
    guest. What cannot be had is told, in a sentence each."""
    wanted = {f"no KVM for {architecture.name}": partial(_prepare_machine, architecture)}
    wanted |= {f"no guest {name}": partial(kernels.ensure, guests.ALL[name]) for name in names}
    problems = []
    with kernels.Mirror() as mirror:
        for what, get in wanted.items():
            try:
                get(mirror)
            except Fail as problem:
                problems.append(f"{what}: {problem}")
    return problems


def _prepare_machine(architecture: Architecture, mirror: Mirror) -> None:
    if probe.complaint(architecture):
        _material(architecture, mirror)


def _material(architecture: Architecture, mirror: Mirror | None = None) -> Kernel:
    setup.ensure({"kvm"})
    return kernels.ensure(architecture, mirror)


def _without(complaint: str) -> int:
    required = os.environ.get("KVM_REQUIRED", "") not in ("", "0")
    print(f"dev: {'' if required else 'skipped: '}{complaint}.", file=sys.stderr)
    return 1 if required else SKIPPED


def _folder() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise Fail(f"the working directory, {os.environ.get('PWD', 'whatever it was')}, is gone.") from None


@contextmanager
def _out():
    """The folder $GUESTPROOF_OUT, or a temporary one."""
    given = os.environ.get("GUESTPROOF_OUT")
    if given:
        try:
            Path(given).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise Fail(f"GUESTPROOF_OUT is {given}, which cannot be made a folder: {error.strerror}.") from error
        yield Path(given).resolve()
    else:
        with scratch.folder() as made:
            yield made


def _job(args, architecture: Architecture, folder: Path, out: Path) -> Job:
    name, *rest = args.command
    program = shutil.which(name)
    if not program:
        raise Fail(f"there is no program '{name}'.")
    path = Path(program).absolute()
    built_for = _built_for(path)
    if built_for not in (None, architecture):
        raise Fail(f"{path} is a program for {built_for.name}, and --arch is {architecture.name}.")
    for what, inside in (("the command", path), ("the working directory", folder)):
        if out in inside.parents:
            raise Fail(f"GUESTPROOF_OUT is {out}; {what}, {inside}, may not be in it.")
    environment = {key: value for key, value in os.environ.items() if _PASSED_ON.fullmatch(key)}
    return Job([str(path), *rest], environment | {"GUESTPROOF_OUT": str(out)}, folder, out, duration.parse(args.time))


def _built_for(program: Path) -> Architecture | None:
    """The one of ours that an ELF program is for: its e_machine is the two bytes at 18."""
    if not os.access(program, os.R_OK):
        return None  # it may be executable all the same
    with open(program, "rb") as file:
        header = file.read(20)
    machine = int.from_bytes(header[18:], "little") if header[:4] == b"\x7fELF" else 0
    return next((each for each in ALL.values() if each.elf == machine), None)


def _on_host(job: Job) -> int:
    with process.start(["setpriv", "--pdeathsig", "KILL", "--", *job.command], env=job.environment, cwd=job.folder,
                       stdin=subprocess.DEVNULL) as child:
        try:
            code = child.wait(job.limit)
        except subprocess.TimeoutExpired:
            raise Late from None
        finally:
            process.signal_group(child, signal.SIGKILL)
    return 128 - code if code < 0 else code
