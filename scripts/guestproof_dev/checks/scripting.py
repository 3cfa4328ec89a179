"""Python compiles and pyflakes finds nothing; shellcheck finds nothing in the shell scripts."""

import subprocess
import sys

from guestproof_dev.checks.tree import Tree


def run(tree: Tree) -> list[str]:
    python = [str(path) for path in tree.files if path.suffix == ".py" or _interpreter(tree, path) == "python3"]
    shell = [str(path) for path in tree.files if path.suffix == ".sh" or _interpreter(tree, path) in ("bash", "sh")]
    return _complaints(tree, [sys.executable, "-P", "-m", "pyflakes"], python) + \
        _complaints(tree, ["shellcheck", "--format=gcc", "--external-sources"], shell)


def _interpreter(tree: Tree, path) -> str:
    """What the first line of a file without suffix names as its interpreter."""
    if path.suffix or path.parts[0] == "corpus":
        return ""
    with open(tree.root / path, "rb") as file:
        line = file.readline(200)
    return line.split()[-1].rpartition(b"/")[2].decode(errors="replace") if line.startswith(b"#!") else ""


def _complaints(tree: Tree, tool: list[str], files: list[str]) -> list[str]:
    if not files:
        return []
    done = subprocess.run([*tool, *files], cwd=tree.root, capture_output=True, text=True)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.returncode != 0 and not lines:
        lines = [f"{tool[0]} ended with exit code {done.returncode} and said nothing."]
    return lines if done.returncode != 0 else []
