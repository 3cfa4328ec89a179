"""Inputs as text and back, by the project's own `scenario` tool."""

import subprocess
from pathlib import Path

from guestproof_dev.build import build
from guestproof_dev.errors import Fail
from guestproof_dev.paths import BUILD

_PATIENCE = 20  # seconds; the tool takes milliseconds


def tool() -> Path:
    """The tool, built when it is missing."""
    program = BUILD / "dev" / "fuzz" / "scenario"
    if not program.exists():
        build("dev", ["scenario"])
    return program


def decode(program: Path, path: Path) -> str:
    """The text of an input, for people; a sentence in its place when there is none."""
    try:
        result = _run([program, "decode", path])
    except OSError as error:
        return f"(no text: {program}: {error.strerror})\n"
    except subprocess.TimeoutExpired:
        return f"(no text: {program} took longer than {_PATIENCE} s)\n"
    if result.returncode != 0:
        return f"(no text: {_sentence(result)})\n"
    return result.stdout.decode(errors="replace")


def convert(command: str, path: Path, output: Path | None) -> bytes:
    """What the tool makes of the file; its complaint as a Fail."""
    if not path.exists():
        raise Fail(f"{path}: there is no such file.")
    if not path.is_file():
        raise Fail(f"{path}: that is not a regular file.")
    words = [tool(), command, path, *(["-o", output] if output else [])]
    try:
        result = _run(words)
    except subprocess.TimeoutExpired:
        raise Fail(f"{path}: the scenario tool took longer than {_PATIENCE} s.") from None
    if result.returncode != 0:
        raise Fail(_sentence(result))
    return result.stdout


def _run(command) -> subprocess.CompletedProcess:
    return subprocess.run([str(word) for word in command], capture_output=True, timeout=_PATIENCE)


def _sentence(result: subprocess.CompletedProcess) -> str:
    lines = result.stderr.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"the scenario tool ended with exit code {result.returncode} and said nothing."
