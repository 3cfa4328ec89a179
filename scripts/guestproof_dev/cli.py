"""The command line: `scripts/dev NAME …` imports guestproof_dev.NAME and calls its add_arguments and main.

Only the module of the command that was asked for is imported, so that no command can break another. The first line
of a module's docstring is its help; `main(args)` returns the exit code: 0 clean, 1 error, 2 bug found.
"""

import argparse
import ast
import importlib
import os
import signal
import sys
from pathlib import Path

from guestproof_dev.errors import Fail

GROUPS = {
    "Find bugs": ["fuzz", "repro", "decode", "encode", "corpus"],
    "Develop": ["test", "with-kvm", "guest", "coverage", "planted", "check", "kvm-api", "qemu-diff", "build", "bench", "setup"],
}
COMMANDS = [name for names in GROUPS.values() for name in names]

EXAMPLES = """\
Examples:
  scripts/dev fuzz --time 15m             fuzz all targets on all CPUs, then report
  scripts/dev fuzz --list                 the targets
  scripts/dev test                        unit tests, properties, corpus replay, machines that boot, checks of the tree
  scripts/dev test -L 'unit|prop'         what takes least time of that
  scripts/dev with-kvm -- COMMAND         run it where there is a working KVM, emulated if need be
  scripts/dev coverage --profile devel    measure what the tests reach, and note in ci/coverage.json what has risen
  scripts/dev check --fix                 format the tree, then check it
  scripts/dev COMMAND --help              everything a command can do

Missing Debian packages are installed when a command needs them (`scripts/dev setup --check` only lists them).
Exit codes: 0 clean, 1 error (one sentence says which), 2 a bug was found, 130 interrupted."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        raise Fail(f"{message} (see {self.prog} --help).")


def main(argv: list[str]) -> int:
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # nohup, say
            signal.signal(number, _terminated)
    try:
        code = _dispatch(argv)
    except SystemExit as end:
        code = end.code
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        code = 1
    except (Fail, OSError) as error:
        code = _complain(error)
    return _written(code)


def _complain(error: Fail | OSError) -> int:
    where = f"{error.filename}: " if isinstance(error, OSError) and error.filename else ""
    what = f"{error.strerror or error}." if isinstance(error, OSError) else error
    print(f"dev: {where}{what}", file=sys.stderr)
    return 1


def _written(code: int) -> int:
    """Writes out what print() still holds: where that fails, Python itself would end with a traceback."""
    try:
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # A reader that has gone (`| head`) has what it wanted.
        return code or (1 if isinstance(error, BrokenPipeError) else _complain(error))
    return code


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    name, *rest = argv
    if name not in COMMANDS or not _source(name):
        raise Fail(f"there is no command '{name}'; the commands are: {', '.join(filter(_source, COMMANDS))}.")
    module = importlib.import_module(f"guestproof_dev.{_module(name)}")
    parser = Parser(prog=f"scripts/dev {name}", description=module.__doc__, allow_abbrev=False,
                    formatter_class=argparse.RawDescriptionHelpFormatter)
    module.add_arguments(parser)
    return module.main(parser.parse_args(rest))


def _overview() -> str:
    lines = ["guestproof: the host side of virtio and KVM, and the suite that proves it against hostile guests.", "",
             "Usage: scripts/dev COMMAND [OPTIONS]", ""]
    for title, names in GROUPS.items():
        lines += [f"{title}:", *(f"  {name:<8} {_summary(name)}" for name in names if _source(name)), ""]
    return "\n".join([*lines, EXAMPLES])


def _source(name: str) -> Path | None:
    here = Path(__file__).parent / _module(name)
    return next((path for path in (here.with_suffix(".py"), here / "__init__.py") if path.exists()), None)


def _module(name: str) -> str:
    return name.replace("-", "_")


def _summary(name: str) -> str:
    """The docstring's first line, read without running the module."""
    try:
        doc = ast.get_docstring(ast.parse(_source(name).read_text())) or ""
    except SyntaxError:
        doc = ""
    return doc.partition("\n")[0]


def _terminated(number, _frame):
    raise SystemExit(128 + number)
