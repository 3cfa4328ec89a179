"""What a job shows while it runs: a live table on a terminal, a plain line every ten seconds elsewhere.

Everything said goes into log.txt too. A terminal that goes away (a log-out) silences the display and nothing else.
"""

import sys
import time
from pathlib import Path

from guestproof_dev import duration
from guestproof_dev.fuzz import summary
from guestproof_dev.fuzz.job import Job

LINE_SECONDS = 10.0
TABLE_SECONDS = 1.0


class Display:
    def __init__(self, log: Path):
        self._log = log
        self._gone = False
        self._live = None
        self._shown = float("-inf")

    def __enter__(self):
        if sys.stdout.isatty():
            from rich.console import Console
            from rich.live import Live
            self._live = Live(console=Console(), auto_refresh=False, transient=True)
            self._try(self._live.start)
        return self

    def __exit__(self, *_):
        if self._live:
            self._try(self._live.stop)
            self._live = None

    def say(self, sentence: str) -> None:
        self._write_log(sentence)
        if self._live:
            self._try(lambda: self._live.console.print(sentence, markup=False, highlight=False))
        else:
            self._try(lambda: print(sentence, flush=True))

    def __call__(self, job: Job) -> None:
        now = time.monotonic()
        if now - self._shown < (TABLE_SECONDS if self._live else LINE_SECONDS):
            return
        self._shown = now
        if self._live:
            self._try(lambda: self._live.update(table(job), refresh=True))
        else:
            self.say(line(job))

    def show_summary(self, result: dict) -> None:
        from rich.console import Console
        self._try(lambda: summary.show(result, self.say, Console()))

    def _write_log(self, sentence: str) -> None:
        try:
            with open(self._log, "a") as file:
                file.write(f"{time.strftime('%H:%M:%S')} {sentence}\n")
        except OSError:
            pass  # the disk is full, and saying so is what brought us here

    def _try(self, show) -> None:
        if self._gone:
            return
        try:
            show()
        except (OSError, ValueError):
            self._gone = True


def line(job: Job) -> str:
    """Everything that matters on one plain line."""
    current = job.current().values()
    rate = sum(_rate(job, worker) for worker in job.workers)
    memory = sum(worker.figures.memory for worker in job.workers) >> 20
    return (f"{duration.show(job.left())} left | {rate} exec/s | {sum(tally.edges for tally in current)} edges | "
            f"corpus {sum(len(pool.names) for pool in job.pools.values())} | {sum(tally.finds for tally in current)} new | "
            f"{len(job.triage.findings)} findings | {memory} MB")


def _rate(job: Job, worker) -> int:
    """A worker that is still loading its inputs has none of its own yet."""
    return worker.rate or job.tallies[worker.combination].rate()


def table(job: Job):
    """A row per combination."""
    from rich.table import Table

    made = Table(title=f"{job.run.id}: {duration.show(job.left())} left of {duration.show(job.seconds)}, "
                       f"{len(job.triage.findings)} findings", title_justify="left", box=None, pad_edge=False, collapse_padding=True)
    for name in ("target", "engine"):
        made.add_column(name, no_wrap=True)
    for name in ("time left", "exec/s", "edges", "corpus", "new", "crashes", "memory"):
        made.add_column(name, justify="right", no_wrap=True)
    share = job.seconds * job.slots / len(job.combinations)
    for combination, tally in job.current().items():
        workers = [worker for worker in job.workers if worker.combination == combination]
        made.add_row(combination.target, combination.runner, duration.show(share - tally.seconds),
                     str(sum(_rate(job, worker) for worker in workers)) if workers else "-", str(tally.edges),
                     str(tally.corpus), str(tally.finds), str(tally.broken_inputs),
                     f"{sum(worker.figures.memory for worker in workers) >> 20} MB" if workers else "-",
                     style="bold" if workers else "dim")
    return made
