"""Check the tree: format, layers, names, headers, corpora, scripts, clang-tidy.

One line per check. clang-tidy looks at the C++ files changed since --base; `--tidy all` takes the whole tree and
some minutes. Lists to edit: checks/layers.txt, checks/mirror_exceptions.txt, .clang-tidy.
"""

import time

from guestproof_dev import setup, terminal
from guestproof_dev.checks import corpora, features, formatting, headers, layering, mirror, scripting, tidy, words
from guestproof_dev.checks.tree import Tree
from guestproof_dev.errors import Fail
from guestproof_dev.paths import ROOT

CHECKS = {"format": formatting, "layers": layering, "mirror": mirror, "headers": headers, "words": words,
          "corpora": corpora, "features": features, "scripts": scripting, "tidy": tidy}


def add_arguments(parser):
    parser.add_argument("names", nargs="*", metavar="CHECK", help=f"only these: {', '.join(CHECKS)} (default: all)")
    parser.add_argument("--fix", action="store_true", help="format the C++ files, and write the table of features, first")
    parser.add_argument("--tidy", choices=["changed", "all"], default="changed", help="what clang-tidy looks at")
    parser.add_argument("--base", metavar="REF", help="changed since this commit (default: where this branch left its "
                        "upstream; on the upstream itself, the commit before the last)")


def main(args) -> int:
    for name in args.names:
        if name not in CHECKS:
            raise Fail(f"there is no check '{name}'; the checks are: {', '.join(CHECKS)}.")
    setup.ensure({"build", "check"})
    tree = Tree(ROOT)
    if args.fix:
        formatting.fix(tree)
        features.fix(tree)
    results = [_run(name, tree, args) for name in args.names or CHECKS]
    return 0 if all(results) else 1


def _run(name: str, tree: Tree, args) -> bool:
    started = time.monotonic()
    problems = tidy.run(tree, args.tidy, args.base) if name == "tidy" else CHECKS[name].run(tree)
    took = time.monotonic() - started
    terminal.verdict(not problems, f"{name:<8} {CHECKS[name].__doc__.partition(chr(10))[0]} ({took:.1f} s)")
    for problem in problems:
        print(f"    {problem}")
    return not problems
