"""Build and run the tests: units, properties, corpus replay, machines that boot, checks of the tree.

Its largest part is machines: kernels are downloaded, and machines emulated that boot them, where the host's KVM is not
good enough for that. -L 'unit|prop' leaves that out, and all other presets.

Labels: unit, prop, replay (the committed corpus through the GCC and the sanitizer builds), unit-aarch64 and
unit-riscv64 (unit tests of these architectures, emulated), kvm, kvm-aarch64 and kvm-riscv64 (on a working KVM, see
`scripts/dev with-kvm`), e2e (there, too: stock kernels in guestproof-vmm, of x86_64 and aarch64), tool (the tree and
this tool). Tests that run a binary of another preset's folder get that preset built first. With --preset the units and
properties of another build run, under a sanitizer, say.

Where no KVM can be had its tests are skipped, and where it lacks a capability the cases that need it. With
KVM_REQUIRED=machine in the environment the former is a failure, with KVM_REQUIRED=1 both are. What was skipped, and why,
is listed at the end.
"""

import json
import os
import re
import subprocess
import sys

from guestproof_dev import process, setup, terminal, with_kvm
from guestproof_dev.build import build, configure, presets
from guestproof_dev.errors import Fail
from guestproof_dev.kvm.architectures import ALL
from guestproof_dev.paths import BUILD

_ROUTINE = re.compile(r"\s+Start\s+\d+: |\s*\d+/\d+ Test\s+#\d+: .* Passed +[\d.]+ sec$")

# In ctest's log: where a test's output starts; what GoogleTest says of a case; what with-kvm says.
_TEST = re.compile(r"\d+/\d+ Testing: (.+)")
_SKIPPED_CASE = re.compile(r"\[  SKIPPED \] (\S+) \(\d+ ms\)")
_SKIPPED_TEST = re.compile(r"dev: skipped: (.+)")

_ON_KVM = re.compile(r"kvm(-\w+)?")


def add_arguments(parser):
    parser.add_argument("-L", "--label", metavar="REGEX", help="only tests with a label that matches as a whole")
    parser.add_argument("-R", "--regex", metavar="REGEX", help="only tests with a name that matches")
    parser.add_argument("--preset", default="dev", metavar="NAME",
                        help="tests of this build (default: dev); of another one the units and properties")
    parser.add_argument("-j", "--jobs", type=int, default=2, metavar="N", help="tests at the same time (default: 2)")


def main(args) -> int:
    setup.ensure({"build", "check", "tables", "tooltest"})
    # Tests on a KVM are few, and the rest of a build takes longer than they do.
    on_kvm = _ON_KVM.fullmatch(args.label or "")
    targets = ["kvm"] if on_kvm else ["e2e"] if args.label == "e2e" else [] if args.preset == "dev" else ["unit", "prop"]
    folder = configure(args.preset) if on_kvm and on_kvm[1] else build(args.preset, targets)
    selection = _selection(args)
    tests = listing(folder, selection)
    for preset in _other_presets(tests, args.preset):
        build(preset, ["kvm"] if on_kvm else ["e2e"] if args.label == "e2e" else [])
    _get_machines(tests)
    return _run(["ctest", *selection, "-j", max(args.jobs, 1), "--output-on-failure", "--no-tests=error"], folder)


def _get_machines(tests: list[dict]) -> None:
    """The QEMU, the KVMs and the guests that tests need and the host does not have, before their time limits count."""
    commands = [test.get("command", []) for test in tests]
    if any("qemu-diff" in command for command in commands):
        try:
            setup.ensure({"kvm"})
        except Fail as problem:
            print(f"dev: no QEMU: {problem}", file=sys.stderr)
    machines: dict[str, set[str]] = {}
    for command in commands:
        if "with-kvm" in command:
            guests = {value for word, value in zip(command, command[1:]) if word == "--guest"}
            machines.setdefault(command[command.index("--arch") + 1], set()).update(guests)
    for name, guests in sorted(machines.items()):
        for problem in with_kvm.prepare(ALL[name], sorted(guests)):
            print(f"dev: {problem}", file=sys.stderr)


def _run(ctest, folder) -> int:
    with process.start(ctest, cwd=folder, stdout=subprocess.PIPE, text=True, errors="replace") as child:
        _show(child)
        code = child.wait()
    log = folder / "Testing/Temporary/LastTest.log"
    if log.exists():
        print(told(skips(log.read_text(errors="replace"))), end="", flush=True)
    return 1 if code else 0


def _show(child: subprocess.Popen) -> None:
    """What ctest says, without the two lines for each test that passed."""
    for line in child.stdout:
        if _ROUTINE.match(line):
            terminal.progress(line.strip())
        else:
            terminal.progress("")
            print(line, end="", flush=True)
    terminal.progress("")


def skips(log: str) -> dict[str, dict[str, list[str]]]:
    """For each reason the tests in ctest's log that skipped something for it, with their cases; none for a whole test."""
    found: dict[str, dict[str, list[str]]] = {}
    test, reason = "", []
    for line in log.splitlines():
        if match := _TEST.fullmatch(line):
            test = match[1]
        elif match := _SKIPPED_TEST.fullmatch(line):
            found.setdefault(match[1], {}).setdefault(test, [])
        elif match := _SKIPPED_CASE.fullmatch(line):
            why = " ".join(reason).strip() or "no reason is given"
            found.setdefault(why, {}).setdefault(test, []).append(match[1])
        # A case's reason is what stands between these two lines and the one that says that it was skipped.
        elif line.startswith("[ RUN ") or line.endswith(": Skipped"):
            reason = []
        else:
            reason.append(line.strip())
    return found


def told(found: dict[str, dict[str, list[str]]]) -> str:
    """A line for each reason, and under it one for each test."""
    lines = []
    for reason, tests in found.items():
        lines.append(f"dev: skipped {sum(max(len(cases), 1) for cases in tests.values())}: {reason}\n")
        lines += [f"    {' '.join(dict.fromkeys([test, *cases]))}\n" for test, cases in tests.items()]
    return "".join(lines)


def _selection(args) -> list[str]:
    labels = [args.label] if args.label is not None else []
    if args.preset != "dev":  # the others are the tool's and the programs' of other presets
        labels = ["unit|prop", *labels]
    regex = ["-R", args.regex] if args.regex is not None else []
    return [word for label in labels for word in ("-L", f"^({label})$")] + regex


def listing(folder, selection: list[str], environment: dict[str, str] = {}) -> list[dict]:
    """The tests that ctest would run, as it describes them itself. Test programs list their cases for that."""
    said = subprocess.run(["ctest", "--test-dir", str(folder), "--show-only=json-v1", *selection],
                          capture_output=True, text=True, env={**os.environ, **environment})
    try:
        tests = json.loads(said.stdout)["tests"]
    except (ValueError, KeyError) as error:
        complaint = (said.stderr.strip() or said.stdout.strip()).partition("\n")[0]
        raise Fail(f"ctest cannot list the tests: {complaint}") from error
    if not tests:
        raise Fail(f"no test matches {' '.join(selection) or 'at all'}; "
                   "labels are unit, unit-ARCH, prop, replay, kvm, kvm-ARCH, e2e and tool.")
    return tests


def _other_presets(tests: list[dict], built: str) -> list[str]:
    """The presets, besides the one that is built, in whose folders the tests' commands are found."""
    words = [word for test in tests for word in test.get("command", [])]
    return [preset for preset in presets()
            if preset != built and any(word.startswith(f"{BUILD / preset}{os.sep}") for word in words)]
