"""The command line of a job: checks what was asked for, builds, runs, reports."""

import os
import secrets
import time
from pathlib import Path

from guestproof_dev import duration, paths, setup
from guestproof_dev.errors import Fail
from guestproof_dev.fuzz import atomic, report, run, summary
from guestproof_dev.fuzz.binaries import Binaries
from guestproof_dev.fuzz.combination import Combination, combine
from guestproof_dev.fuzz.display import Display
from guestproof_dev.fuzz.job import Job, Stop, handle_signals
from guestproof_dev.fuzz.worker import Place

DEFAULT_TIME = "15m"
UNIT_TIMEOUT = 5  # seconds; fifty times what a unit may take
# Below this share of processor time a combination would only start and end.
SMALLEST_SHARE = 1.0


def list_targets(args) -> int:
    for target in _binaries(args).targets():
        print(target)
    return 0


def fuzz(args) -> int:
    setup.ensure({"fuzz", "report"})
    root = (args.out or paths.run_root()).absolute()
    if args.resume:
        place = run.find(root, args.resume)
        options = _resumed(place, args)
    else:
        options = _asked(args)
        place = None
    binaries = Binaries(Path(options["binaries"]), Path(options["corpus"]))
    combinations = combine(options["targets"], options["engine"], options["sanitizer"])
    _check_share(options, len(combinations))
    begun = time.monotonic()
    binaries.prepare(combinations)
    build_seconds = time.monotonic() - begun
    place = place or run.create(root, options)
    with place.lock():
        return _run(Place(place, binaries, options["unit_timeout"]), combinations, options, build_seconds, args)


def _asked(args) -> dict:
    """The options of a new run, complete and checked."""
    binaries = _binaries(args)
    jobs = args.jobs if args.jobs is not None else len(os.sched_getaffinity(0))
    if not 1 <= jobs <= 1024:
        raise Fail(f"--jobs {jobs} is out of bounds; it may be from 1 to 1024.")
    if args.seed is not None and not 0 <= args.seed < 1 << 64:
        raise Fail(f"--seed {args.seed} is out of bounds; it may be from 0 to 2^64 - 1.")
    return {"targets": binaries.select(args.target), "engine": args.engine or "both",
            "sanitizer": args.sanitizer or "both", "seconds": duration.parse(args.time or DEFAULT_TIME), "jobs": jobs,
            "seed": secrets.randbits(32) if args.seed is None else args.seed, "revision": summary.revision(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "binaries": str(binaries.root),
            "corpus": str(binaries.corpus), "unit_timeout": args.unit_timeout or UNIT_TIMEOUT}


def _resumed(resumed: run.Run, args) -> dict:
    """The options of an earlier run; only its time can be changed."""
    given = [f"--{name}" for name in ("target", "engine", "sanitizer", "jobs", "seed") if getattr(args, name)]
    if given:
        raise Fail(f"{given[0]} cannot be changed by --resume; run {resumed.id} keeps what it was started with.")
    options = resumed.options()
    if args.time:
        options["seconds"] = duration.parse(args.time)
        atomic.write_json(resumed.options_file, options)
    state = atomic.read_json(resumed.state_file) if resumed.state_file.exists() else {"elapsed": 0.0}
    if state["elapsed"] > options["seconds"] - 1:
        raise Fail(f"run {resumed.id} has used its {duration.show(options['seconds'])}; "
                   "give it more with --time.")
    return options


def _binaries(args) -> Binaries:
    binaries = Binaries()
    return Binaries((args.binaries or binaries.root).absolute(), (args.corpus or binaries.corpus).absolute())


def _check_share(options: dict, combinations: int) -> None:
    share = options["seconds"] * options["jobs"] / combinations
    if share < SMALLEST_SHARE:
        raise Fail(f"{duration.show(options['seconds'])} on {options['jobs']} CPUs leave {share:.1f} s to each of "
                   f"{combinations} combinations of target and engine; give more --time or fewer targets.")


def _run(place: Place, combinations: list[Combination], options: dict, build_seconds: float, args) -> int:
    with Display(place.run.log) as display:
        job = Job(place, combinations, options["seconds"], options["jobs"], options["seed"], display.say)
        if args.full_disk_patience is not None:
            job.full_disk_patience = args.full_disk_patience
        handle_signals(job)
        display.say(f"run {place.run.id}: {len(combinations)} combinations, {duration.show(job.left())}, seed "
                    f"{job.seed}, on {job.slots} CPUs; build took {build_seconds:.0f} s; folder {place.run.folder}")
        job.work(display)
        result = summary.summarise(job, options, build_seconds)
    return _report(job, result, display)


def _report(job: Job, result: dict, display: Display) -> int:
    """A disk that is still full costs the report, not the exit code; what is on the terminal is always complete."""
    display.show_summary(result)
    try:
        atomic.write_json(job.run.summary, result)
        if job.stop is not Stop.AT_ONCE:
            report.write(job.run, result)
            display.say(f"report: {job.run.report}")
    except OSError as error:
        display.say(f"error: {job.run.folder}: the report cannot be written: {error.strerror}")
        return 1
    return result["exit_code"]
