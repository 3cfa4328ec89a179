"""C++ is formatted as clang-format-19 does it."""

import os
import re
import subprocess

from guestproof_dev.checks.tree import Tree
from guestproof_dev.errors import Fail

_COMPLAINT = re.compile(r"^(.+?):(\d+):\d+: error: code should be clang-formatted", re.MULTILINE)


def run(tree: Tree) -> list[str]:
    output = _clang_format(tree, "--dry-run", "-Werror")
    first = {}
    for match in _COMPLAINT.finditer(output):
        first.setdefault(match.group(1), match.group(2))
    return [f"{path}:{line}: not formatted; `scripts/dev check --fix` does it." for path, line in first.items()]


def fix(tree: Tree) -> None:
    _clang_format(tree, "-i")


def _clang_format(tree: Tree, *options: str) -> str:
    """One process per CPU, each with its share of the files."""
    jobs = len(os.sched_getaffinity(0))
    shares = [[str(path) for path in tree.cxx[start::jobs]] for start in range(jobs)]
    tool = ["clang-format-19", f"--style=file:{tree.root}/.clang-format", *options]
    running = [subprocess.Popen([*tool, *share], cwd=tree.root, text=True, stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE)
               for share in shares if share]
    outputs = [process.communicate()[1] for process in running]
    for process, output in zip(running, outputs):
        if process.returncode != 0 and not _COMPLAINT.search(output):
            raise Fail(f"clang-format-19 failed: {output.strip() or process.returncode}")
    return "".join(outputs)
