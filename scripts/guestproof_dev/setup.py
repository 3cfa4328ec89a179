"""Install the Debian packages that the commands need.

Each command installs what it lacks by itself; this installs everything at once. The group `kernels` is not installed: it
is downloaded into ~/.cache/guestproof for `scripts/dev with-kvm` and `scripts/dev guest`; named alone it brings the
newest. With --check nothing is changed: what is missing is named, and the exit code is 1 when there is anything.
"""

import os
import shutil
import subprocess
import sys
import time

from guestproof_dev import terminal
from guestproof_dev.errors import Fail
from guestproof_dev.kvm import kernels

PATIENCE = 600  # seconds to wait for another package manager to finish
GROUPS = {
    "build": ["g++", "cmake", "ninja-build", "ccache", "libgtest-dev", "libgmock-dev", "librapidcheck-dev",
              "libbenchmark-dev", "liburing-dev", "pkgconf", "libcli11-dev", "libfmt-dev", "nlohmann-json3-dev"],
    "cross": ["g++-aarch64-linux-gnu", "g++-riscv64-linux-gnu", "googletest", "qemu-user-static"],
    "fuzz": ["clang-19", "lld-19", "llvm-19", "libclang-rt-19-dev", "afl++"],
    "check": ["git", "clang-format-19", "clang-tidy-19", "pyflakes3", "shellcheck"],
    "report": ["python3-rich", "python3-jinja2", "python3-matplotlib"],
    "tooltest": ["python3-pytest"],
    "tables": ["acpica-tools", "device-tree-compiler"],
    "kvm": ["qemu-system-x86", "qemu-system-arm", "qemu-system-misc"],
}
KERNELS = "kernels"


def add_arguments(parser):
    parser.add_argument("--check", action="store_true", help="only report what is missing")
    parser.add_argument("groups", nargs="*", metavar="GROUP",
                        help=f"which packages: {', '.join([*GROUPS, KERNELS])} (all when none is named)")


def main(args) -> int:
    for group in args.groups:
        if group not in (*GROUPS, KERNELS):
            raise Fail(f"there is no package group '{group}'; the groups are: {', '.join([*GROUPS, KERNELS])}.")
    groups = set(args.groups or (*GROUPS, KERNELS))
    if not args.check:
        ensure(groups)
        if KERNELS in groups:
            _get_kernels(newest=bool(args.groups))
        print("dev: every package is there.")
        return 0
    lacking = {"packages": missing(groups), KERNELS: _missing_kernels() if KERNELS in groups else []}
    for what, names in lacking.items():
        if names:
            print(f"dev: missing {what}: {' '.join(names)}")
    if any(lacking.values()):
        return 1
    print("dev: every package is there.")
    return 0


def _get_kernels(newest: bool) -> None:
    with kernels.Mirror() as mirror:
        for each in kernels.ALL:
            (kernels.refresh if newest else kernels.ensure)(each, mirror)


def _missing_kernels() -> list[str]:
    return [each.name for each in kernels.ALL if not kernels.cached(each)]


def missing(groups: set[str]) -> list[str]:
    """The packages of those groups that are not installed, found with one question to dpkg."""
    wanted = [package for group in GROUPS if group in groups for package in GROUPS[group]]
    if not wanted:
        return []
    try:
        answer = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Status} ${binary:Package}\n", *wanted],
                                capture_output=True, text=True)
    except FileNotFoundError:
        raise Fail(f"this machine has no dpkg; install what these Debian 12 packages hold: {' '.join(wanted)}.")
    installed = {line.split()[1].partition(":")[0] for line in answer.stdout.splitlines()
                 if line.startswith("installed ")}
    return [package for package in wanted if package not in installed]


def ensure(groups: set[str]) -> None:
    """Installs what is missing of those groups; costs one dpkg-query when nothing is."""
    lacking = missing(groups)
    if not lacking:
        return
    apt = _apt_get(lacking)
    print(f"dev: installing {' '.join(lacking)}", file=sys.stderr, flush=True)
    install = [*apt, "install", "-y", "--no-install-recommends", *lacking]
    if _apt_knows(lacking) and _run(install) is None:
        return
    # The package lists are absent or out of date.
    _run([*apt, "update"])
    problem = _run(install)
    if problem:
        raise Fail(f"apt-get could not install {' '.join(lacking)}: {problem}.")


def _apt_get(lacking: list[str]) -> list[str]:
    """The words that start apt-get as root."""
    if not shutil.which("apt-get"):
        raise Fail(f"there is no apt-get; install these packages by hand: {' '.join(lacking)}.")
    as_root = []
    if os.geteuid() != 0:
        if not shutil.which("sudo"):
            raise Fail(f"installing needs root and there is no sudo; as root run: apt-get install {' '.join(lacking)}")
        as_root = ["sudo"] if sys.stdin.isatty() else ["sudo", "-n"]
    return [*as_root, "env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get", "-q",
            "-o", f"DPkg::Lock::Timeout={PATIENCE}", "-o", "APT::Status-Fd=1"]


def _apt_knows(packages: list[str]) -> bool:
    return subprocess.run(["apt-cache", "show", "--no-all-versions", *packages], capture_output=True).returncode == 0


def _run(command: list[str]) -> str | None:
    """Runs the command; None when it worked, else the sentence it complained with."""
    deadline = time.monotonic() + PATIENCE
    problem = _run_once(command)
    # DPkg::Lock::Timeout does not cover the lock of the package lists, which a machine that just started holds a while.
    while problem and "Could not get lock" in problem and time.monotonic() < deadline:
        time.sleep(2)
        problem = _run_once(command)
    return problem


def _run_once(command: list[str]) -> str | None:
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace") as apt:
        lines = [line.strip() for line in apt.stdout if not _is_status(line) and line.strip()]
    terminal.progress("")
    if apt.returncode == 0:
        return None
    complaints = [line.removeprefix("E: ") for line in lines if line.startswith(("E: ", "dpkg: error"))]
    return "; ".join(line.rstrip(".:") for line in complaints[:3] or lines[-1:] or [f"exit code {apt.returncode}"])


def _is_status(line: str) -> bool:
    """apt's `pmstatus:package:percent:what` and `dlstatus:…`, shown as they pass."""
    kind, *fields = line.split(":")
    if kind not in ("dlstatus", "pmstatus") or len(fields) < 3:
        return False
    terminal.progress(f"{'downloading' if kind == 'dlstatus' else 'installing'} {fields[1].partition('.')[0]} %")
    return True
