"""The supervisor: keeps every slot at work until the time is over, and everything found safe.

One loop in one thread starts workers, watches them, and writes down how far it came; triage works beside it. State is
on disk before it matters: a kill -9 at any moment costs at most the last two seconds of figures.
"""

import errno
import hashlib
import json
import resource
import signal
import time
from dataclasses import asdict
from enum import Enum
from pathlib import Path

from guestproof_dev.fuzz import atomic, depth, leash
from guestproof_dev.fuzz.afl import AflWorker
from guestproof_dev.fuzz.combination import Combination
from guestproof_dev.fuzz.libfuzzer import LibFuzzerWorker
from guestproof_dev.fuzz.pool import Pool
from guestproof_dev.fuzz.schedule import Schedule, slice_seconds
from guestproof_dev.fuzz.space import Space
from guestproof_dev.fuzz.tally import Tally
from guestproof_dev.fuzz.triage import Triage
from guestproof_dev.fuzz.worker import GRACE, Place, Worker

TICK = 0.2
STATE_SECONDS = 2.0
SERIES_POINTS = 500
TRIAGE_SECONDS = 10.0
FULL_DISK_PATIENCE = 600.0
ENGINES = {"libfuzzer": LibFuzzerWorker, "afl": AflWorker}
# So many starts in a row without one execution mean that a combination cannot work at all,
USELESS_STARTS = 5
# and so many ends without an input to blame that it does not work well.
UNEXPLAINED_ENDS = 3


class Stop(Enum):
    NO = 0
    CLEANLY = 1
    AT_ONCE = 2


class Job:
    def __init__(self, place: Place, combinations: list[Combination], seconds: int, slots: int, seed: int, say):
        self.place, self.run = place, place.run
        self.combinations = combinations
        self.seconds = seconds
        self.slots = slots
        self.seed = seed
        self.say = say
        self.stop = Stop.NO
        self.errors: list[str] = []
        self.workers: list[Worker] = []
        self._handed_on: set[Path] = set()
        self._last_words: dict[Combination, list[str]] = {}  # of workers that ended without an input to blame
        self.full_disk_patience = FULL_DISK_PATIENCE
        self._full_since: float | None = None
        self._written = self._charted = 0.0
        self._load()
        self.schedule = Schedule(combinations, slice_seconds(seconds, len(combinations), slots))
        for combination, tally in self.tallies.items():
            self.schedule.turns[combination].used = tally.seconds

    def _load(self) -> None:
        """Starts from what an earlier session left."""
        state = atomic.read_json(self.run.state_file) if self.run.state_file.exists() else {}
        self._before = float(state.get("elapsed", 0.0))
        self._slices = int(state.get("slices", 0))
        self.sessions = int(state.get("sessions", 0)) + 1
        saved = state.get("tallies", {})
        self.tallies = {each: Tally(**saved.get(each.name, {})) for each in self.combinations}
        left_out = state.get("left_out", {})
        self.left_out = {each.target: set(left_out.get(each.target, [])) for each in self.combinations}
        self._started = time.monotonic()

    # Time

    def elapsed(self) -> float:
        return self._before + time.monotonic() - self._started

    def left(self) -> float:
        return max(0.0, self.seconds - self.elapsed())

    # The loop

    def work(self, display) -> None:
        """Runs until the time is over, or until it is stopped."""
        self._space = Space(self.run.folder)
        self._adopt_leftovers()
        self.pools = {each.target: Pool(self.run.corpus(each.target)) for each in self.combinations}
        self.triage = Triage(self.place, self.combinations, self.say, self.elapsed)
        guardian = leash.Guardian(self.run.folder)
        # An abort is nothing unusual here, and a core dump of each would fill the disk.
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        self._started = time.monotonic()
        self.triage.start()
        try:
            while self.left() and self.stop is Stop.NO and self.schedule.combinations and not self._disk_stays_full():
                self._step()
                display(self)
                time.sleep(TICK)
            self._wind_up(display)
        finally:
            guardian.dismiss()
            self._space.open_reserve()

    def _step(self) -> None:
        try:
            self._watch()
            self._note_space()
            if self._full_since is None:
                self._fill_slots()
            self._write_down()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._disk_is_full()

    def _watch(self) -> None:
        for worker in list(self.workers):
            alive = worker.poll()
            self._hand_on(worker.artifacts[worker.submitted:])
            worker.submitted = len(worker.artifacts)
            if not alive:
                self._account(worker)

    def _hand_on(self, artifacts: list[Path]) -> None:
        """Each to triage, once: a slow input of the corpus shows in every slice."""
        for path in artifacts:
            if path in self._handed_on:
                path.unlink(missing_ok=True)
            else:
                self._handed_on.add(path)
                self.triage.submit(path)

    def _account(self, worker: Worker) -> None:
        combination, by_itself = worker.combination, not worker.was_asked_to_end
        tally = self.tallies[combination] = self.tallies[combination].with_worker(worker)
        self.workers.remove(worker)
        blocking = worker.blocking_inputs() - self.left_out[combination.target]
        self._leave_out(combination.target, blocking)
        tally.breakdowns += by_itself
        tally.killed += worker.was_killed
        self.schedule.ended(combination, time.monotonic(), worker.seconds, by_itself and not blocking)
        if by_itself and not worker.was_killed and not worker.artifacts:
            self._note_unexplained_end(worker)
        worker.dismiss()

    def _note_unexplained_end(self, worker: Worker) -> None:
        """No input is to blame, so the engine, its mutator or its flags are."""
        combination = worker.combination
        self._last_words.setdefault(combination, []).append(worker.last_words())
        useless = not self.tallies[combination].executions
        if useless and self.schedule.turns[combination].failures >= USELESS_STARTS:
            self.schedule.give_up(combination)

    def _judge_unexplained_ends(self) -> None:
        for combination, words in self._last_words.items():
            if not self.tallies[combination].executions:
                self._error(f"{combination.name} does not run: {words[-1]}")
            elif len(words) >= UNEXPLAINED_ENDS:
                self._error(f"{combination.name} ended by itself {len(words)} times: {words[-1]}")

    def _leave_out(self, target: str, names: set[str]) -> None:
        """An input of the corpus that breaks the target would end each worker before it has begun."""
        if names:
            self.say(f"{len(names)} inputs of the corpus break {target}; the others go on without them")
            self.left_out[target] |= names

    def _fill_slots(self) -> None:
        while len(self.workers) < self.slots and self.left() > 1.0:
            running = [worker.combination for worker in self.workers]
            turn = self.schedule.next(time.monotonic(), running)
            if turn is None:
                return
            self._start(*turn)

    def _start(self, combination: Combination, seconds: float) -> None:
        taken = {worker.lane for worker in self.workers if worker.combination == combination}
        lane = min(set(range(len(taken) + 1)) - taken)
        self._slices += 1
        worker = ENGINES[combination.engine](self.place, combination, lane, self.pools[combination.target])
        worker.start(min(seconds, self.left()), self._worker_seed(combination),
                     self.left_out[combination.target])
        self.workers.append(worker)

    def _worker_seed(self, combination: Combination) -> int:
        """Different for every slice, and the same again for the same job seed."""
        text = f"{self.seed} {combination.name} {self._slices}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "little") % 0x7FFFFFFE + 1

    # The end

    def _wind_up(self, display) -> None:
        """Ends the workers, lets triage work off what is waiting, and writes the last state."""
        for worker in self.workers:
            worker.end()
        deadline = time.monotonic() + GRACE + 2
        while self.workers and time.monotonic() < deadline and self.stop is not Stop.AT_ONCE:
            self._quietly(self._watch)
            display(self)
            time.sleep(TICK)
        self._judge_unexplained_ends()
        self._space.open_reserve()
        deadline = self.triage.finish(TRIAGE_SECONDS)
        while self.triage.is_alive() and time.monotonic() < deadline and self.stop is not Stop.AT_ONCE:
            display(self)
            self.triage.join(TICK)
        self._quietly(lambda: self._write_down(last=True))

    def _quietly(self, work) -> None:
        try:
            work()
        except OSError as error:
            self._error(f"{self.run.folder}: {error.strerror}")

    def _error(self, sentence: str) -> None:
        if sentence not in self.errors:
            self.errors.append(sentence)
            self.say(sentence)

    # Room on the disk

    def _note_space(self) -> None:
        if not self._space.enough():
            self._disk_is_full()
        elif self._full_since is not None:
            self._full_since = None
            self.triage.submit_waiting()
            self.say("there is room again; going on")

    def _disk_is_full(self) -> None:
        """Ends the workers before they write what nobody can keep; their files wait where they are."""
        if self._full_since is None:
            self._full_since = time.monotonic()
            self.say(f"{self._space.sentence()}; waiting for room")
        for worker in self.workers:
            worker.end()

    def _disk_stays_full(self) -> bool:
        if self._full_since is None or time.monotonic() - self._full_since < self.full_disk_patience:
            return False
        self._error(self._space.sentence())
        return True

    # What survives us

    def _adopt_leftovers(self) -> None:
        """After a kill -9: nothing of the last session may still run, and what its workers found goes into the pools."""
        leash.clear(self.run.folder)
        for folder in sorted(self.run.work.iterdir()):
            combination = next((each for each in self.combinations if folder.name.startswith(f"{each.name}-")), None)
            if combination:
                lane = int(folder.name.removeprefix(f"{combination.name}-"))
                ENGINES[combination.engine](self.place, combination, lane, Pool(self.run.corpus(combination.target))).adopt()

    def _write_down(self, last: bool = False) -> None:
        now = time.monotonic()
        if last or now - self._written >= STATE_SECONDS:
            self._written = now
            atomic.write_json(self.run.state_file, {
                "elapsed": self.elapsed(), "sessions": self.sessions, "slices": self._slices,
                "left_out": {target: sorted(names) for target, names in self.left_out.items()},
                "tallies": {each.name: asdict(tally) for each, tally in self.current().items()}})
        if last or now - self._charted >= max(2.0, self.seconds / SERIES_POINTS):
            self._charted = now
            with open(self.run.series, "a") as file:
                file.write(json.dumps(self._point()) + "\n")

    def _point(self) -> dict:
        current = self.current()
        return {"t": round(self.elapsed(), 1),
                "edges": {each.name: tally.edges for each, tally in current.items()},
                "executions": {each.name: tally.executions for each, tally in current.items()},
                "corpus": {target: len(pool.names) for target, pool in self.pools.items()}}

    def current(self) -> dict[Combination, Tally]:
        """The tallies, running workers included."""
        current = dict(self.tallies)
        for worker in self.workers:
            current[worker.combination] = current[worker.combination].with_worker(worker)
        return current

    def depth(self) -> dict[str, dict[str, int]]:
        """Per target, the sum of all workers' counters."""
        paths = sorted(self.run.depth.iterdir())
        return {target: depth.total(path for path in paths if path.name.startswith(f"{target}-"))
                for target in dict.fromkeys(each.target for each in self.combinations)}


def handle_signals(job: Job) -> None:
    """Ctrl-C and SIGTERM end the job cleanly, the second one at once. A log-out (SIGHUP) does not end it."""
    def stop(_number, _frame):
        job.stop = Stop.CLEANLY if job.stop is Stop.NO else Stop.AT_ONCE
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
