"""Run one input again, and show its text and what it breaks.

The file says by its place what to run: a finding and an input of a run know their target and build, an input below
corpus/TARGET/ its target; for any other, name --target. Exit code: 2 when it breaks something, 0 when not.
"""

import argparse
import os
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path

from guestproof_dev import crash, scenario, setup
from guestproof_dev.errors import Fail
from guestproof_dev.fuzz import atomic
from guestproof_dev.fuzz.binaries import Binaries
from guestproof_dev.fuzz.combination import ENGINES, SANITIZERS, Combination, combine
from guestproof_dev.fuzz.command import UNIT_TIMEOUT
from guestproof_dev.fuzz.execute import Bench, Outcome


def add_arguments(parser):
    parser.add_argument("file", type=Path, metavar="FILE", help="the input")
    parser.add_argument("--target", metavar="T", help="which target, where the file's place does not say")
    parser.add_argument("--engine", choices=ENGINES, help="(default: the finding's; else libfuzzer)")
    parser.add_argument("--sanitizer", choices=[*SANITIZERS, "both"], help="(default: the finding's; else both)")
    parser.add_argument("--binaries", type=Path, help=argparse.SUPPRESS)


@dataclass
class Context:
    """What the file's place tells."""

    binaries: Binaries
    unit_timeout: int = UNIT_TIMEOUT
    target: str = ""
    finding: Combination | None = None


def main(args) -> int:
    setup.ensure({"fuzz"})
    path = args.file.absolute()
    if not path.is_file():
        raise Fail(f"{args.file}: there is no such file.")
    context = _context(path)
    if args.binaries:
        context.binaries = Binaries(args.binaries.absolute(), context.binaries.corpus)
    combinations = _combinations(args, context)
    context.binaries.prepare(combinations)
    print(scenario.decode(context.binaries.scenario, path).rstrip("\n"))
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder) / "repro", Path(folder), context.unit_timeout)
        broken = [_run(bench, context.binaries, combination, path) for combination in combinations]
    return 2 if any(broken) else 0


def _context(path: Path) -> Context:
    run = next((parent for parent in path.parents if (parent / "run.json").is_file()), None)
    if run is None:
        return Context(Binaries(), target=_target_from(path, Binaries().corpus))
    options = atomic.read_json(run / "run.json")
    context = Context(Binaries(Path(options["binaries"]), Path(options["corpus"])), options["unit_timeout"],
                      _target_from(path, run / "corpus"))
    finding = next((folder / "finding.json" for folder in path.parents if (folder / "finding.json").is_file()), None)
    if finding:
        facts = atomic.read_json(finding)
        context.finding = Combination(facts["target"], facts["engine"], facts["sanitizer"])
        context.target = context.finding.target
    return context


def _target_from(path: Path, corpus: Path) -> str:
    """The folder's name right below the corpus, or nothing."""
    inside = os.path.realpath(path).startswith(f"{os.path.realpath(corpus)}{os.sep}")
    return os.path.relpath(os.path.realpath(path), os.path.realpath(corpus)).split(os.sep)[0] if inside else ""


def _combinations(args, context: Context) -> list[Combination]:
    target = args.target or context.target
    known = context.binaries.targets()
    if not target:
        raise Fail(f"{args.file}: its place does not tell the target; name one with --target: {', '.join(known)}.")
    context.binaries.select([target])
    if context.finding and not (args.target or args.engine or args.sanitizer):
        return [context.finding]
    return combine([target], args.engine or "libfuzzer", args.sanitizer or "both")


def _run(bench: Bench, binaries: Binaries, combination: Combination, path: Path) -> bool:
    """Runs it once and says what came of it; whether it broke something."""
    binary = binaries.fuzzer(combination)
    outcome = bench.execute(binary, path, 3) if combination.sanitizer else _run_afl(bench, binary, path)
    report = outcome.report or outcome.slow()
    if report:
        print(outcome.log.rstrip("\n"))
        print(f"{combination.name}: {report.kind}: {report.message}")
        for frame in report.frames:
            print(f"    {frame}")
    else:
        print(f"{combination.name}: nothing broke ({outcome.one_execution()} ms)")
    return report is not None


def _run_afl(bench: Bench, binary: Path, path: Path) -> Outcome:
    """AFL++'s own binary has no sanitizer to explain anything."""
    log, code, _ = bench.run([binary, path], patience=UNIT_TIMEOUT)
    report = crash.read(log)
    if code is None:
        report = crash.Report("hang", "timeout", f"it took longer than {UNIT_TIMEOUT} s")
    elif code < 0 and not report:
        report = crash.Report("crash", signal.Signals(-code).name, f"it ended with {signal.Signals(-code).name}")
    return Outcome(log, report)
