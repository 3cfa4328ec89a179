"""What a combination has achieved so far, over all its slices and sessions."""

from dataclasses import dataclass

from guestproof_dev.fuzz.worker import Figures, Worker


@dataclass
class Tally:
    seconds: float = 0.0
    executions: int = 0
    edges: int = 0
    features: int = 0
    corpus: int = 0
    finds: int = 0
    broken_inputs: int = 0  # crashes, hangs, … before de-duplication
    slices: int = 0
    breakdowns: int = 0  # workers that ended by themselves
    killed: int = 0  # workers that something else killed, usually the kernel for want of memory
    memory: int = 0  # the most that one worker had, in bytes

    def with_worker(self, worker: Worker) -> "Tally":
        """As it would be if the worker ended now."""
        figures: Figures = worker.figures
        return Tally(self.seconds + worker.seconds, self.executions + figures.executions,
                     max(self.edges, figures.edges), max(self.features, figures.features),
                     figures.corpus or self.corpus, self.finds + worker.finds,
                     self.broken_inputs + len(worker.artifacts), self.slices + 1, self.breakdowns, self.killed,
                     max(self.memory, figures.most_memory))

    def rate(self) -> int:
        return round(self.executions / self.seconds) if self.seconds else 0
