"""The job's result: summary.json for machines, a table for people.

summary.json:
    run            the run's name
    seed           what --seed was, or would have to be for the same worker seeds
    revision       {"commit", "dirty"} of the tree
    started        local time, ISO 8601
    asked_seconds, elapsed_seconds, sessions (1 + number of resumptions), build_seconds (not part of the former)
    jobs           workers at a time
    combinations   [{"target", "engine", "sanitizer", "seconds", "executions", "executions_per_second", "edges", "features",
                     "corpus", "finds", "broken_inputs", "slices", "breakdowns", "killed", "memory_bytes"}]
                   edges are each engine's own count: comparable over time, not between engines
    corpus         target -> number of new inputs
    depth          target -> counter -> count
    never_reached  target -> the counters that are still 0
    findings       [{"id", "target", "engine", "sanitizer", "kind", "title", "message", "stack", "reproducible",
                     "count", "found_by", "found_after", "size", "minimised_size", "minimising", "folder", "input",
                     "scenario", "reproduce"}]
                   reproducible is null where there was no time to try
    waiting        inputs that broke something and are not triaged yet; --resume does it
    unconfirmed    inputs that were slow once and fast when tried again; they are in crashes/unconfirmed/
    errors         sentences
    exit_code      0 clean, 2 bug found, 1 error
"""

import os
import subprocess
from dataclasses import asdict
from pathlib import Path

from guestproof_dev import duration
from guestproof_dev.fuzz.combination import Combination
from guestproof_dev.fuzz.finding import Finding
from guestproof_dev.fuzz.job import Job
from guestproof_dev.fuzz.run import Run
from guestproof_dev.paths import ROOT


def summarise(job: Job, options: dict, build_seconds: float) -> dict:
    depth = job.depth()
    findings = [describe(job.run, finding) for finding in job.triage.findings.values()]
    waiting = len(job.triage.waiting())
    return {
        "run": job.run.id, "seed": job.seed, "revision": options["revision"], "started": options["started"],
        "asked_seconds": job.seconds, "elapsed_seconds": round(job.elapsed(), 1), "sessions": job.sessions,
        "build_seconds": round(build_seconds, 1), "jobs": job.slots,
        "combinations": [_combination(each, tally) for each, tally in job.current().items()],
        "corpus": {target: len(pool.names) for target, pool in job.pools.items()},
        "depth": depth,
        "never_reached": {target: [name for name, count in counters.items() if not count]
                          for target, counters in depth.items()},
        "findings": findings, "waiting": waiting, "unconfirmed": len(list(job.run.unconfirmed.glob("*"))), "errors": job.errors,
        "exit_code": 1 if job.errors else 2 if findings or waiting else 0,
    }


def _combination(combination, tally) -> dict:
    figures = asdict(tally)
    figures["memory_bytes"] = figures.pop("memory")
    figures["seconds"] = round(figures["seconds"], 1)
    return {**asdict(combination), **figures, "executions_per_second": tally.rate()}


def describe(run: Run, finding: Finding) -> dict:
    """The finding with the paths of its files and the one command that shows it again."""
    folder = run.crashes / finding.id
    smallest = finding.smallest(folder)
    facts = {name: value for name, value in asdict(finding).items() if name != "signature"}
    return {**facts, "folder": str(folder), "input": str(smallest), "scenario": str(folder / "scenario.txt"),
            "reproduce": f"{_shown(ROOT / 'scripts' / 'dev')} repro {_shown(smallest)}"}


def _shown(path: Path) -> str:
    """As short as a command typed here can have it."""
    relative = os.path.relpath(path)
    return str(path) if relative.startswith("..") else relative


def revision() -> dict:
    def git(*words) -> str:
        return subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True).stdout.strip()
    try:
        return {"commit": git("rev-parse", "HEAD"), "dirty": bool(git("status", "--porcelain"))}
    except OSError:
        return {"commit": "", "dirty": False}


def show(summary: dict, say, console) -> None:
    """The table, then the findings with their commands, then what was never reached."""
    _show_combinations(summary, console)
    for row in summary["combinations"]:
        if row["killed"]:
            say(f"{row['killed']} workers of {row['target']} were killed from outside, perhaps for want of memory")
    for finding in summary["findings"]:
        _show_finding(finding, say)
    if summary["waiting"]:
        say(f"{summary['waiting']} inputs that broke something are not triaged yet; "
            f"go on with: scripts/dev fuzz --resume {summary['run']}")
    if summary["unconfirmed"]:
        say(f"{summary['unconfirmed']} inputs were slow once and fast when tried again: {summary['run']}/crashes/unconfirmed")
    for target, names in summary["never_reached"].items():
        if names:
            say(f"never reached in {target}: {', '.join(names)}")
    for error in summary["errors"]:
        say(f"error: {error}")


def _show_combinations(summary: dict, console) -> None:
    from rich.table import Table

    table = Table(title=f"{summary['run']}: {duration.show(summary['elapsed_seconds'])} on {summary['jobs']} CPUs, "
                        f"seed {summary['seed']}", title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    for name in ("target", "engine"):
        table.add_column(name, no_wrap=True)
    for name in ("time", "runs", "runs/s", "edges", "new", "broken"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in summary["combinations"]:
        runner = Combination(row["target"], row["engine"], row["sanitizer"]).runner
        table.add_row(row["target"], runner, duration.show(row["seconds"]), _short(row["executions"]),
                      _short(row["executions_per_second"]), str(row["edges"]), str(row["finds"]),
                      str(row["broken_inputs"]))
    console.print(table)


def _short(number: int) -> str:
    """In at most five characters: 950, 12.3k, 4.6M."""
    for limit, unit in ((10**9, "G"), (10**6, "M"), (10**4, "k")):
        if number >= limit:
            return f"{number / (1000 if unit == 'k' else limit):.1f}{unit}"
    return str(number)


def _show_finding(finding: dict, say) -> None:
    proof = {True: "", False: " (does not reproduce)", None: " (not yet reproduced)"}[finding["reproducible"]]
    size = finding["minimised_size"] if finding["minimised_size"] is not None else finding["size"]
    say(f"{finding['kind']} in {finding['target']}{proof}: {finding['message']}")
    for frame in finding["stack"][:3]:
        say(f"    {frame}")
    say(f"    {finding['count']} inputs, smallest {size} bytes; text: {_shown(Path(finding['scenario']))}")
    say(f"    {finding['reproduce']}")
