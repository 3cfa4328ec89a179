"""Run the scenario programs on QEMU's devices too, and compare.

What the programs of a corpus do to our device (registers, memory, back end) is repeated on a QEMU with the same device on
virtio-mmio, by the qtest protocol: no KVM is needed. Wherever the guest can look, status, used rings, memory and what lies
behind the device must be the same, or docs/divergences.md has it, with the clause of the specification that says who is
right. Exit code 2 when something differs that is not in the list, or no longer does.

Without QEMU, or with another one than the list is for, nothing is compared, and the last line says why; with KVM_REQUIRED
in the environment that is a failure.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from pathlib import Path

from guestproof_dev.errors import Fail
from guestproof_dev.paths import CORPUS, ROOT
from guestproof_dev.qemu_diff import devices, ledger, trace
from guestproof_dev.qemu_diff.devices import LeftOut
from guestproof_dev.qemu_diff.machine import Machine
from guestproof_dev.qemu_diff.replay import Replay

LEDGER = ROOT / "docs" / "divergences.md"
SKIPPED = 125


def add_arguments(parser):
    parser.add_argument("device", nargs="*", metavar="DEVICE",
                        help=f"which ones (default: all): {', '.join(devices.ALL)}")
    parser.add_argument("--seed", metavar="REGEX", default="", help="only programs whose corpus/name matches")
    parser.add_argument("--rows", action="store_true", help="print what is new as rows for the list")
    parser.add_argument("--trace-program", type=Path, metavar="FILE", help="this build's guest_trace")


def main(args) -> int:
    known = ledger.read(LEDGER)
    reason = _lacking(known.version)
    if reason:
        print(f"dev: skipped: {reason}")
        return 1 if os.environ.get("KVM_REQUIRED") else SKIPPED
    found, compared = [], set()
    for name in args.device or devices.ALL:
        if name not in devices.ALL:
            raise Fail(f"there is no device '{name}'; the devices are: {', '.join(devices.ALL)}.")
        program = args.trace_program or trace.tool()
        more, seeds = _compare(devices.ALL[name], program, re.compile(args.seed))
        found += more
        compared |= seeds
    complaints = ledger.compare(known, found, compared)
    if not args.device and not args.seed:
        complaints += ledger.unknown_seeds(known, compared)
    print("\n".join(complaints))
    if args.rows:
        print("\n".join(ledger.rows([divergence for divergence in found if divergence not in known.verdicts])))
    return 2 if complaints else 0


def _lacking(version: str) -> str:
    program = shutil.which("qemu-system-x86_64")
    if not program:
        return "there is no qemu-system-x86_64; scripts/dev setup kvm installs it"
    there = subprocess.run([program, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    if f"version {version}." not in there:
        return f"docs/divergences.md is for QEMU {version}, here is {there}"
    return ""


def _compare(kind, program: Path, wanted: re.Pattern):
    """What differs, and the seeds that were compared."""
    seeds = [path for corpus in kind.corpora for path in sorted((CORPUS / corpus / "seeds").iterdir())
             if wanted.search(f"{corpus}/{path.name}")]
    if not seeds:
        return [], set()
    traces = trace.record(program, kind.name, seeds)
    found, compared, left_out = [], set(), Counter()
    with _Bench(kind) as bench:
        for each in traces:
            try:
                found += bench.run(each)
                compared.add(bench.name(each))
            except LeftOut as reason:
                left_out[str(reason)] += 1
    print(f"{kind.name}: {len(compared)} programs compared, {len(found)} divergences, "
          f"{bench.machines} machines; {left_out.total()} left out:")
    for reason, count in left_out.most_common():
        print(f"  {count}: {reason}")
    return found, compared


class _Bench:
    """Runs one program after the other; on the same machine as long as it can be reset."""

    def __init__(self, kind):
        self._kind = kind
        self._machine = None
        self.machines = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._drop()

    def name(self, each: trace.Trace) -> str:
        """rng:queue/a_loop: programs of a corpus can run on several devices."""
        return f"{self._kind.name}:{each.seed}"

    def run(self, each: trace.Trace):
        if each.left_out:
            raise LeftOut(each.left_out)
        if not self._machine:
            self._start()
        replay = Replay(self._machine, self._device)
        try:
            return replay.run(each, self.name(each))
        finally:
            if not replay.wipe():
                self._drop()

    def _start(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="guestproof-qemu-")
        self._device = self._kind(Path(self._folder.name))
        try:
            self._machine = Machine(Path(self._folder.name), self._device.options(), self._device.files())
        except BaseException:
            self._device.close()
            self._folder.cleanup()
            raise
        self.machines += 1

    def _drop(self) -> None:
        if not self._machine:
            return
        self._machine.close()
        self._device.close()
        self._folder.cleanup()
        self._machine = None
