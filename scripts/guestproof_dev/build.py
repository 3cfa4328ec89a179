"""Configure and build a preset.

Each preset of CMakePresets.json has its own folder, build/PRESET. Quiet unless the build fails. x86_64, aarch64 and
riscv64 are the library and statically linked test programs for a machine of that architecture, aarch64 with
guestproof-vmm.
"""

import fcntl
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

from guestproof_dev import process, setup, terminal
from guestproof_dev.errors import Fail
from guestproof_dev.paths import BUILD, ROOT

# Without it ccache passes by what is compiled with precompiled headers.
_CCACHE = {"CCACHE_SLOPPINESS": "pch_defines,time_macros"}
PRESETS = ROOT / "CMakePresets.json"
PACKAGES = {"dev": {"build"}, "release": {"build"}, "x86_64": {"build"}, "aarch64": {"build", "cross"},
            "riscv64": {"build", "cross"}}  # of the others, which Clang builds, {"build", "fuzz"}


def add_arguments(parser):
    parser.add_argument("preset", nargs="?", default="dev", help="which one (default: dev)")
    parser.add_argument("--target", action="append", default=[], metavar="NAME", help="build only this; may be repeated")


def main(args) -> int:
    print(build(args.preset, args.target))
    return 0


def presets() -> list[str]:
    try:
        listed = json.loads(PRESETS.read_text())["configurePresets"]
        return [preset["name"] for preset in listed if not preset.get("hidden")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Fail(f"{PRESETS}: cannot read the presets: {error}.") from error


def build(preset: str, targets: list[str] = []) -> Path:
    """Configures when needed, builds, and returns the build folder."""
    started = time.monotonic()
    with _prepared(preset) as folder:
        _configure(preset, folder)
        wanted = ["--target", *targets] if targets else []
        quiet(["cmake", "--build", folder, *wanted], f"the build of {preset}")
    print(f"dev: built {preset} in {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
    return folder


def configure(preset: str) -> Path:
    """Configures when needed, and returns the build folder: its compile commands are up to date."""
    with _prepared(preset) as folder:
        _configure(preset, folder)
        quiet(["cmake", "--build", folder, "--target", "build.ninja"], f"configuring {preset}")
    return folder


@contextmanager
def _prepared(preset: str):
    """The preset's folder, with its tools installed, ours alone: Ninja itself does not look out for a second build."""
    if preset not in presets():
        raise Fail(f"there is no preset '{preset}'; the presets are: {', '.join(presets())}.")
    setup.ensure(PACKAGES.get(preset, {"build", "fuzz"}))
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / f".{preset}.lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"dev: waiting for another build of {preset}", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield BUILD / preset


def _configure(preset: str, folder: Path) -> None:
    """Ninja configures again when a CMakeLists.txt has changed; the rest is for us to see."""
    cache, ninja = folder / "CMakeCache.txt", folder / "build.ninja"
    complete = cache.exists() and ninja.exists()
    ours = complete and f"CMAKE_HOME_DIRECTORY:INTERNAL={ROOT}\n" in cache.read_text(errors="replace")
    if ours and ninja.stat().st_mtime >= PRESETS.stat().st_mtime:
        return
    fresh = [] if ours else ["--fresh"]
    quiet(["cmake", "--preset", preset, *fresh], f"configuring {preset}")


def quiet(command, what: str) -> None:
    """Runs the command in the root and shows its output only when it fails."""
    with process.start(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                       text=True, errors="replace", env={**os.environ, **_CCACHE}) as child:
        lines = _read(child)
        code = child.wait()
    if code != 0:
        sys.stderr.writelines(_from_first_failure(lines))
        raise Fail(f"{what} failed with exit code {code}; the output is above.")


def _read(child: subprocess.Popen) -> list[str]:
    """All its lines; a terminal sees Ninja's `[3/90]` pass by on one line."""
    lines = []
    for line in child.stdout:
        lines.append(line)
        if line.startswith("["):
            terminal.progress(line.strip())
    terminal.progress("")
    return lines


def _from_first_failure(lines: list[str]) -> list[str]:
    """Ninja prints one line per step before the step that failed; those say nothing."""
    first = next((index for index, line in enumerate(lines) if line.startswith("FAILED")), 0)
    return lines[first:]
