"""Check or write docs/kvm-api.md: every ioctl of KVM, by what it is wrapped, and which test has called it.

The ioctls are those of the installed <linux/kvm.h> of three architectures and of lib/guestproof/kvm/abi.h; wrapped are
those of lib/guestproof/kvm/ioctls.h; why the others are not stands in kvm_api_left_out.txt beside this script. Which test
calls what is measured (tests/kvm/ioctl_recorder.cc). Exit code 1 when the table does not say what is so.

To measure: `scripts/dev test -L 'kvm.*'` runs the tests that need a KVM and leaves their logs in build/dev/kvm; then
`scripts/dev kvm-api --write` runs those that bring a kernel of their own, and writes the table.
"""

import os
import re
import subprocess
import tempfile
from collections import defaultdict
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from guestproof_dev import build, setup
from guestproof_dev.checks import listing
from guestproof_dev.errors import Fail
from guestproof_dev.paths import BUILD, ROOT

LIBRARY = "lib/guestproof/kvm"
TESTS = "tests/kvm"
TABLE = "docs/kvm-api.md"
LEFT_OUT = "scripts/guestproof_dev/kvm_api_left_out.txt"
ARCHITECTURES = ("x86_64", "aarch64", "riscv64")

_REQUEST = re.compile(r"^#define (KVM_\w+) (?:_IO\w*\(.*\bKVMIO\b|__KVM_DEPRECATED_)", re.MULTILINE)
_LIST = re.compile(r"^#define GUESTPROOF_KVM_IOCTLS_\w+\(X\) (.*)$", re.MULTILINE)
_ENTRY = re.compile(r"X\((\w+), (\w+)\)")
_USE = re.compile(r"\bIoctl::(k\w+)")
_FUNCTION = re.compile(r"^(?!#|//|namespace|static_assert|template|using)\w[^=]*?((?:\w+::)?\w+)\(")
_TEST = re.compile(r"^(?:TYPED_)?TEST(?:_[FP])?\((\w+),\s*(\w+)\)", re.MULTILINE)
_ROW = re.compile(r"^\| `(KVM_\w+)` \| [^|]* \|" + r" ([^|]*) \|" * len(ARCHITECTURES) + "$", re.MULTILINE)
_CELL = re.compile(r"(?:(fake|refused): )?`(\w+\.\w+)`(?: and \d+ more)?")


@dataclass
class Api:
    """What the headers and the library say."""

    offered: dict[str, set[str]] = field(default_factory=dict)  # architecture -> its ioctls
    wrapped: dict[str, dict[str, str]] = field(default_factory=dict)  # architecture -> ioctl -> enumerator
    functions: dict[str, list[str]] = field(default_factory=dict)  # enumerator -> who calls it

    def wrapped_somewhere(self) -> list[str]:
        return sorted(set().union(*self.wrapped.values()))

    def by(self, name: str) -> list[str]:
        enumerator = next(names[name] for names in self.wrapped.values() if name in names)
        return self.functions.get(enumerator, [])

    def unwrapped(self) -> dict[str, list[str]]:
        """The ioctls that some architectures have and the library does not wrap there -> which architectures."""
        where = defaultdict(list)
        for architecture in ARCHITECTURES:
            for name in self.offered[architecture] - self.wrapped[architecture].keys():
                where[name].append(architecture)
        return dict(sorted(where.items()))


def add_arguments(parser):
    parser.add_argument("--write", action="store_true", help="write the table from what was measured")
    parser.add_argument("--logs", type=Path, default=BUILD / "dev" / "kvm", metavar="FOLDER",
                        help="where the tests on a KVM left their logs (default: build/dev/kvm)")
    parser.add_argument("--seen", choices=ARCHITECTURES, metavar="ARCH",
                        help="whether the tests on a KVM have called what the table says they do")


def main(args) -> int:
    if args.seen:
        problems = unseen(read_cells(ROOT), args.seen, args.logs)
    elif args.write:
        api = read(ROOT)
        (ROOT / TABLE).write_text(render(api, left_out(ROOT), measure(args.logs)))
        problems = check(ROOT, api)
    else:
        problems = check(ROOT, read(ROOT))
    for problem in problems:
        print(problem)
    return 1 if problems else 0


def read(root: Path) -> Api:
    setup.ensure({"build", "cross"})
    api = Api(functions=_functions(root))
    for architecture in ARCHITECTURES:
        macros = _macros(root, architecture)
        api.offered[architecture] = set(_REQUEST.findall(macros))
        api.wrapped[architecture] = {name: enumerator for entries in _LIST.findall(macros)
                                     for enumerator, name in _ENTRY.findall(entries)}
    return api


def _macros(root: Path, architecture: str) -> str:
    """All macros that the library's view of KVM has there."""
    done = subprocess.run([f"{architecture}-linux-gnu-g++", "-std=c++23", "-E", "-dM", "-x", "c++", f"-I{root / 'lib'}",
                           "-include", "guestproof/kvm/ioctls.h", os.devnull], capture_output=True, text=True)
    if done.returncode != 0:
        raise Fail(f"the headers of {architecture} do not compile: {done.stderr.strip().splitlines()[-1]}")
    return done.stdout


def _functions(root: Path) -> dict[str, list[str]]:
    users = defaultdict(set)
    for path in sorted((root / LIBRARY).glob("*.cc")):
        function = ""
        for line in path.read_text().splitlines():
            opened = _FUNCTION.match(line)
            function = opened[1] if opened else function
            for enumerator in _USE.findall(line):
                users[enumerator].add(function)
    return {enumerator: sorted(names) for enumerator, names in users.items()}


def left_out(root: Path) -> dict[str, str]:
    return listing.read(root / LEFT_OUT)


def reason(name: str, reasons: dict[str, str]) -> str:
    """Its own, or that of the first pattern that covers it."""
    return reasons.get(name) or next((text for pattern, text in reasons.items() if fnmatchcase(name, pattern)), "")


def measure(logs: Path) -> dict[str, dict[str, str]]:
    """ioctl -> architecture -> what the table says of its tests."""
    seen = {"": defaultdict(set), "refused": defaultdict(set), "fake": defaultdict(set)}
    for architecture in ARCHITECTURES:
        for name, verdict, test in _calls(logs, architecture):
            seen["" if verdict == "granted" else "refused"][name, architecture].add(test)
    with tempfile.TemporaryDirectory() as scratch:
        for architecture in ARCHITECTURES:
            _run_fakes(architecture, Path(scratch))
            for name, verdict, test in _calls(Path(scratch), architecture):
                if verdict == "granted":
                    seen["fake"][name, architecture].add(test)
    cells = defaultdict(dict)
    for kind in ("fake", "refused", ""):  # what was granted by a real kernel tells most
        for (name, architecture), tests in seen[kind].items():
            cells[name][architecture] = _cell(kind, sorted(tests))
    return cells


def _cell(kind: str, tests: list[str]) -> str:
    more = f" and {len(tests) - 1} more" if tests[1:] else ""
    return f"{kind}: `{tests[0]}`{more}" if kind else f"`{tests[0]}`{more}"


def _run_fakes(architecture: str, out: Path) -> None:
    """The unit tests of KVM: their kernel is a fake, so that they run anywhere."""
    native = architecture == os.uname().machine
    names = sorted(f"kvm_{path.stem}" for path in (ROOT / TESTS).glob("*_test.cc"))
    folder = build.build("dev" if native else architecture, names)
    for program in (folder / "tests" / name for name in names):
        command = [program] if native else [ROOT / "scripts" / "emulate", architecture, program]
        done = subprocess.run([str(word) for word in command], env={**os.environ, "GUESTPROOF_OUT": str(out)},
                              capture_output=True, text=True, errors="replace")
        if done.returncode != 0:
            print(done.stdout, end="")
            raise Fail(f"{program.name} of {architecture} failed with exit code {done.returncode}; its output is above.")


def _lines(folder: Path, architecture: str) -> list[list[str]]:
    """What the programs noted: [ioctl, granted or refused, test], and [ran or skipped, test]."""
    lines = [line.split(" ") for log in (folder / "ioctls" / architecture).glob("*.txt") for line in log.read_text().splitlines()]
    return [[*words, plain(test)] for *words, test in lines]


def _calls(folder: Path, architecture: str):
    return [line for line in _lines(folder, architecture) if len(line) == 3]


def plain(test: str) -> str:
    """A test as its source names it: `All/Slots.Move/3` is Slots.Move."""
    suite, _dot, case = test.partition(".")
    parts = [part for part in suite.split("/") if not part.isdigit()]
    return f"{parts[-1]}.{case.partition('/')[0]}"


def render(api: Api, reasons: dict[str, str], cells: dict[str, dict[str, str]]) -> str:
    lines = [_HEAD, "| ioctl | wrapped by | " + " | ".join(ARCHITECTURES) + " |", "| --- " * (2 + len(ARCHITECTURES)) + "|"]
    for name in api.wrapped_somewhere():
        tests = [cells.get(name, {}).get(architecture, "no test") if name in api.wrapped[architecture] else ""
                 for architecture in ARCHITECTURES]
        users = ", ".join(f"`{user}`" for user in api.by(name))
        lines.append(f"| `{name}` | {users} | " + " | ".join(tests) + " |")
    lines += [_LEFT_OUT_HEAD]
    for name, where in api.unwrapped().items():
        place = "everywhere" if len(where) == len(ARCHITECTURES) else ", ".join(where)
        lines.append(f"| `{name}` | {place} | {reason(name, reasons)} |")
    return "\n".join(lines) + "\n"


def read_cells(root: Path) -> dict[str, dict[str, str]]:
    path = root / TABLE
    rows = _ROW.findall(path.read_text()) if path.exists() else []
    return {name: {architecture: cell for architecture, cell in zip(ARCHITECTURES, cells) if cell}
            for name, *cells in rows}


def check(root: Path, api: Api) -> list[str]:
    reasons, cells = left_out(root), read_cells(root)
    problems = []
    for name in api.wrapped_somewhere():
        if not api.by(name):
            problems.append(f"{LIBRARY}/ioctls.h: no function calls {name}.")
    unwrapped = api.unwrapped()
    problems += [f"{LEFT_OUT}: {name} is not wrapped on {', '.join(where)}, and no line says why."
                 for name, where in unwrapped.items() if not reason(name, reasons)]
    problems += [f"{LEFT_OUT}: '{pattern}' is no ioctl that is left out."
                 for pattern in reasons if not any(fnmatchcase(name, pattern) for name in unwrapped)]
    known = {f"{suite}.{case}" for path in (root / TESTS).glob("*.cc") for suite, case in _TEST.findall(path.read_text())}
    for architecture in ARCHITECTURES:
        for name in sorted(api.wrapped[architecture]):
            cell = _CELL.fullmatch(cells.get(name, {}).get(architecture, ""))
            if not cell:
                problems.append(f"{TABLE}: no test calls {name} on {architecture}.")
            elif cell[2] not in known:
                problems.append(f"{TABLE}: {name}, {architecture}: there is no test {cell[2]}.")
    path = root / TABLE
    if not path.exists() or path.read_text() != render(api, reasons, cells):
        problems.append(f"{TABLE} is not what the headers and the library say; `scripts/dev kvm-api --write` writes it.")
    return problems


def unseen(cells: dict[str, dict[str, str]], architecture: str, logs: Path) -> list[str]:
    """The claims about tests that have run on a KVM there, and have not done what they are said to do."""
    lines = _lines(logs, architecture)
    ran, skipped = ({line[1] for line in lines if line[0] == kind} for kind in ("ran", "skipped"))
    problems = []
    for name, row in cells.items():
        cell = _CELL.fullmatch(row.get(architecture, ""))
        if not cell or cell[1] == "fake" or cell[2] not in ran - skipped:
            continue
        verdict = cell[1] or "granted"
        if [name, verdict, cell[2]] not in lines:
            problems.append(f"{TABLE}: {cell[2]} has not had {name} {verdict} on {architecture}.")
    return problems


_HEAD = """\
# KVM's ioctls

Written by `scripts/dev kvm-api --write`; a test checks it. Every ioctl that `<linux/kvm.h>` of Debian 12 has on one of the
three architectures is here, and so is what newer kernels added and `lib/guestproof/kvm/abi.h` declares.

## Wrapped

Under an architecture stands the first test that has the call granted by a real kernel, and how many others have. Else
*refused*: real kernels only ever refused it (the machine at hand lacks the feature); or *fake*: only a fake kernel, which
checks every byte of the request, was asked. An empty field: the next table says why.
"""
_LEFT_OUT_HEAD = """
## Left out

| ioctl | where | why |
| --- | --- | --- |"""
