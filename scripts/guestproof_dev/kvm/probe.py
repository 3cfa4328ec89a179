"""Is the host's own KVM good enough? probe.cc asks it; it is compiled when it is first needed."""

import hashlib
import os
import platform
import subprocess
import tempfile
from pathlib import Path

from guestproof_dev import setup
from guestproof_dev.errors import Fail
from guestproof_dev.kvm import kernels
from guestproof_dev.kvm.architectures import Architecture

SOURCE = Path(__file__).with_name("probe.cc")
PATIENCE = 10  # seconds; the probe's own limit is 5


def complaint(architecture: Architecture) -> str:
    """Why the host's KVM cannot be used for guests of that architecture, in half a sentence; empty when it can."""
    if platform.machine() != architecture.name:
        return f"the host is {platform.machine()}"
    try:
        done = subprocess.run([program()], capture_output=True, text=True, errors="replace", timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return f"its KVM has not run a tiny guest in {PATIENCE} s"
    if done.returncode < 0:
        return f"its KVM has not run a tiny guest to the end (signal {-done.returncode})"
    return done.stdout.strip() if done.returncode else ""


def program() -> Path:
    """The probe, compiled."""
    target = kernels.cache() / "probe" / hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    if target.exists():
        return target
    setup.ensure({"build"})
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        new = Path(scratch, "probe")
        done = subprocess.run(["g++", "-std=c++20", "-O1", SOURCE, "-o", new], capture_output=True, text=True)
        if done.returncode != 0:
            raise Fail(f"g++ cannot compile {SOURCE}: {done.stderr.strip().partition(chr(10))[0]}")
        os.rename(new, target)
    return target
