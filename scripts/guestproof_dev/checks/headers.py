"""Every header of the library opens with what it is for, and is included once."""

from pathlib import PurePosixPath

from guestproof_dev.checks.tree import Tree, under

_SHORTEST_PURPOSE = 20


def run(tree: Tree) -> list[str]:
    problems = []
    for path in tree.cxx:
        if path.suffix == ".h" and under(path, "lib/guestproof"):
            problems += _check(tree, path)
    return problems


def _check(tree: Tree, path: PurePosixPath) -> list[str]:
    lines = (tree.text(path) or "").splitlines()
    problems = []
    if not lines or not lines[0].startswith("// ") or len(lines[0]) < _SHORTEST_PURPOSE:
        problems.append(f"{path}:1: a header opens with a comment: what it is for, what it does not do, thread-safety.")
    code = [line for line in lines if line.strip() and not line.startswith("//")]
    if not code or code[0] != "#pragma once":
        problems.append(f"{path}: `#pragma once` must come directly after the opening comment.")
    return problems
