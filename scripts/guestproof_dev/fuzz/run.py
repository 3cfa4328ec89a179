"""A job's folder: what was asked for, what was found, and how far it came.

    run.json            what was asked for, written once
    state.json          how far it came, rewritten every few seconds: what --resume goes on from
    corpus/TARGET/      new inputs, named by the SHA-1 of their content
    crashes/FINDING/    one folder per finding, see triage.py
    crashes/incoming/   inputs that broke something and are not yet looked at
    depth/              the targets' depth counters
    series.jsonl        figures over time
    log.txt             what the job said
    work/               the workers' own folders, gone at the end
    summary.json, report.html
"""

import fcntl
import os
import secrets
import time
from pathlib import Path

from guestproof_dev.errors import Fail
from guestproof_dev.fuzz import atomic

LATEST = "latest"


class Run:
    def __init__(self, folder: Path):
        self.folder = folder
        self.id = folder.name
        self.options_file = folder / "run.json"
        self.state_file = folder / "state.json"
        self.crashes = folder / "crashes"
        self.incoming = self.crashes / "incoming"
        self.unconfirmed = self.crashes / "unconfirmed"
        self.depth = folder / "depth"
        self.series = folder / "series.jsonl"
        self.log = folder / "log.txt"
        self.work = folder / "work"
        self.summary = folder / "summary.json"
        self.report = folder / "report.html"

    def corpus(self, target: str) -> Path:
        return self.folder / "corpus" / target

    def options(self) -> dict:
        return atomic.read_json(self.options_file)

    def lock(self):
        """Keeps a second supervisor out for as long as the returned file is open."""
        file = open(self.folder / "lock", "w")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise Fail(f"{self.folder}: another job is at work there; end it first.") from None
        return file


def create(root: Path, options: dict) -> Run:
    """A new folder under the root, named by the time."""
    name = f"{time.strftime('%Y-%m-%dT%H-%M-%S')}-{secrets.token_hex(2)}"
    run = Run(root / name)
    try:
        for folder in (run.folder, run.incoming, run.depth, run.work):
            folder.mkdir(parents=True)
        atomic.write_json(run.options_file, {"run": name, **options})
        _point_latest(root, name)
    except OSError as error:
        raise Fail(f"{root}: a job cannot write its folder there: {error.strerror}.") from error
    return run


def _point_latest(root: Path, name: str) -> None:
    temporary = root / f".latest-{name}"
    temporary.symlink_to(name)
    os.rename(temporary, root / LATEST)


def find(root: Path, name: str) -> Run:
    """The run of that name or path, or the newest one for `last`."""
    for folder in (root / (LATEST if name == "last" else name), Path(name)):
        if (folder / "run.json").is_file():
            return Run(folder.resolve())
    known = sorted(path.parent.name for path in root.glob("*/run.json") if path.parent.name != LATEST)
    raise Fail(f"{root}: there is no run '{name}'; the newest ones are: {', '.join(known[-5:]) or 'none'}.")
