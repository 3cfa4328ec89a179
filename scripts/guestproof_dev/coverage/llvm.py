"""llvm-profdata, llvm-cov and llvm-cxxfilt: from a profile to what llvm-cov tells of a program."""

import json
import os
import subprocess
from pathlib import Path

from guestproof_dev.errors import Fail

_VERSION = "19"


def export(program: Path, profile: Path, sources: list[Path]) -> dict:
    """Files below the sources, and functions, as llvm-cov describes them in JSON.

    One program at a time: of a function that some programs only mention and others call, llvm-cov-19 takes what it
    meets first, and so, where bit 60 of the function's hash is set, can show as never called what is (it takes the
    profile for one of another kind).
    """
    indexed = profile.with_suffix(".profdata")
    _run(["llvm-profdata", "merge", "-sparse", "-failure-mode=any", profile, "-o", indexed])
    text = _run(["llvm-cov", "export", program, f"-instr-profile={indexed}", "-sources", *sources])
    try:
        [data] = json.loads(text)["data"]
        return data
    except (ValueError, KeyError, TypeError) as error:
        raise Fail(f"llvm-cov-{_VERSION} exported something that is no coverage: {error}.") from error


def demangle(names: list[str]) -> list[str]:
    """Without parameters and return types."""
    return _run(["llvm-cxxfilt", "--no-params"], "\n".join(names)).splitlines() if names else []


def _run(command: list, text: str | None = None) -> str:
    name = f"{command[0]}-{_VERSION}"
    try:
        done = subprocess.run([name, *map(str, command[1:])], input=text or "", capture_output=True, text=True,
                              errors="replace", env={**os.environ, "LC_ALL": "C"})
    except FileNotFoundError:
        raise Fail(f"there is no {name}; install the package llvm-{_VERSION}.") from None
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise Fail(f"{name} {command[1]} failed: {said[0].removeprefix('error: ')}.")
    return done.stdout
