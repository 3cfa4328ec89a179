"""Plant known faults in a copy of the tree and see that the fuzz targets find them.

Every ci/planted/*.patch is one fault: applied to a copy under build/faults, built, and fuzzed from the committed
inputs until an oracle or a sanitizer notices. The clean tree must first pass the same inputs, and afterwards the input
that showed the fault. Column `by`: replay when a committed input alone shows it, fuzz when it took the engine.
The log and the input are left in build/faults/FAULT. Exit code 0 when every fault was found as its header says, else 1.
"""

import fcntl
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from guestproof_dev import duration, setup, terminal
from guestproof_dev.errors import Fail
from guestproof_dev.fuzz import atomic
from guestproof_dev.paths import ROOT
from guestproof_dev.planted import fault as faults
from guestproof_dev.planted import trial
from guestproof_dev.planted.fault import Fault
from guestproof_dev.planted.scratch import Scratch
from guestproof_dev.planted.trial import Trial

_ROW = "{:<38} {:<46} {:<16} {:<7} {:>7} {:>10}  {}"


def add_arguments(parser):
    parser.add_argument("--fault", action="append", default=[], metavar="NAME", help="only this; may be repeated")
    parser.add_argument("--time", type=duration.parse, default="60s", metavar="TIME", help="for each (default: 60s)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), metavar="N",
                        help="faulty programs at work at the same time (default: one per CPU)")
    parser.add_argument("--list", action="store_true", help="only say which faults there are")
    parser.add_argument("--bare", action="store_true", help="without the committed inputs: what the engine can do alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")


def main(args) -> int:
    if args.jobs < 1:
        raise Fail(f"{args.jobs} jobs at the same time are too few; it takes at least 1.")
    chosen = faults.select(faults.load(), args.fault)
    if not chosen:
        raise Fail(f"{ROOT / 'ci' / 'planted'}: there is no planted fault.")
    if args.list:
        for each in chosen:
            print(f"{each.name:<38} {each.target:<12} {', '.join(each.finders):<30} {each.sentence}")
        return 0
    setup.ensure({"build", "fuzz", "check"})
    with Nursery(args) as nursery:
        results = nursery.try_all(chosen)
    found = sum(result.found for result in results)
    print(f"{found} of {len(results)} planted faults found")
    if args.json:
        atomic.write_json(args.json, {"seconds_for_each": args.time, "found": found, "planted": len(results),
                                      "faults": [result.as_json() for result in results]})
    return 0 if found == len(results) else 1


@dataclass
class Result:
    fault: Fault
    problem: str  # why it does not count as found; empty when it does
    finder: str = ""
    by: str = ""
    seconds: float = 0
    executions: int = 0

    @property
    def found(self) -> bool:
        return not self.problem

    def row(self) -> str:
        return _ROW.format(self.fault.name, self.fault.kind, self.finder or "-", self.by or "-", f"{self.seconds:.1f}",
                           self.executions, self.problem).rstrip()

    def as_json(self) -> dict:
        return {"name": self.fault.name, "class": self.fault.kind, "target": self.fault.target,
                "expected": self.fault.finders, "found": self.found, "found_by": self.finder, "by": self.by,
                "seconds": round(self.seconds, 1), "executions": self.executions, "problem": self.problem}


class Nursery:
    """Builds one faulty program after the other and lets up to `jobs` of them run meanwhile."""

    def __init__(self, args):
        self._seconds, self._jobs, self._bare = args.time, args.jobs, args.bare
        self._folder = ROOT / "build" / "faults"
        self._scratch = Scratch(ROOT, self._folder)
        self._running: dict[str, tuple[Fault, Trial]] = {}
        self._results: dict[str, Result] = {}

    def __enter__(self):
        self._folder.mkdir(parents=True, exist_ok=True)
        self._lock = open(self._folder / ".lock", "w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Fail(f"{self._folder}: another run is at work there.") from None
        return self

    def __exit__(self, *_):
        for _fault, running in self._running.values():
            running.kill()
        self._lock.close()

    def try_all(self, chosen: list[Fault]) -> list[Result]:
        self._scratch.clean()
        self._scratch.configure()
        for target in dict.fromkeys(fault.target for fault in chosen):
            self._prepare_clean(target)
        print(_ROW.format("fault", "class", "found by", "by", "seconds", "executions", "").rstrip(), flush=True)
        for fault in chosen:
            while len(self._running) == self._jobs:
                self._collect()
            self._begin(fault)
        while self._running:
            self._collect()
        return [self._results[fault.name] for fault in chosen]

    def _inputs(self, target: str) -> list[Path]:
        kinds = () if self._bare else ("seeds", "found", "regressions")
        return [path for path in (ROOT / "corpus" / target / kind for kind in kinds) if path.is_dir()]

    def _clean_program(self, target: str) -> Path:
        return self._folder / "clean" / f"{target}_fuzz"

    def _prepare_clean(self, target: str) -> None:
        terminal.progress(f"building {target} without a fault")
        program = self._clean_program(target)
        program.parent.mkdir(exist_ok=True)
        shutil.copy2(self._scratch.program(target), program)
        finder = trial.replay(program, self._inputs(target)) if self._inputs(target) else None
        if finder:
            raise Fail(f"corpus/{target}: {finder} has something to say about the tree without any planted fault; "
                       "mend that first.")

    def _begin(self, fault: Fault) -> None:
        terminal.progress(f"building {fault.name}")
        try:
            self._scratch.clean()
            self._scratch.plant(fault)
            program = self._scratch.program(fault.target)
        except Fail as fail:
            return self._report(Result(fault, str(fail)))
        running = Trial(program, self._folder / fault.name, self._inputs(fault.target), self._seconds)
        self._running[fault.name] = fault, running

    def _collect(self) -> None:
        """Takes the results of the programs that have ended; waits a moment when none has."""
        ended = [(fault, running) for fault, running in self._running.values() if running.ended()]
        for fault, running in ended:
            del self._running[fault.name]
            self._report(Result(fault, self._problem(fault, running), running.finder or "", running.by if running.finder
                                else "", running.seconds, running.executions))
        if not ended:
            time.sleep(0.05)

    def _problem(self, fault: Fault, ended: Trial) -> str:
        if ended.finder is None:
            return "not found"
        if ended.finder not in fault.finders:
            return f"{' or '.join(fault.finders)} should have found it"
        if ended.witness is None:
            return "no input was kept that shows it"
        if trial.replay(self._clean_program(fault.target), [ended.witness]):
            return "the tree without the fault fails on the same input"
        return ""

    def _report(self, result: Result) -> None:
        self._results[result.fault.name] = result
        terminal.progress("")
        print(result.row(), flush=True)
