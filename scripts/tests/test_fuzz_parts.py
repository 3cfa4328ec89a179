"""The parts of the fuzz job that need no fuzz binary: reading reports, sharing time, keeping files."""

import itertools
import struct
import time
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
from guestproof_dev import crash, setup
from guestproof_dev.errors import Fail
from guestproof_dev import duration
from guestproof_dev.fuzz import afl, atomic, depth, finding, report, run, schedule
from guestproof_dev.fuzz.combination import Combination, combine, judges
from guestproof_dev.fuzz.execute import Bench, Outcome
from guestproof_dev.fuzz.minimise import without_records
from guestproof_dev.fuzz.pool import Intake, Pool, content_name

STACK = """\
    #0 0x55b33c7d7158 in __asan_memcpy (/x/planted_fuzz+0x1128f1) (BuildId: a3)
    #1 0x55b33c7d7158 in guestproof::block::parse(std::span<int, 3ul>) {where}:{line}:9
    #2 0x55b33c7d7159 in (anonymous namespace)::step<int>(int) /nowhere/lib/step.cc:7:1
    #3 0x55b33c6f52c2 in main (/x/planted_fuzz+0x682c2) (BuildId: a3)
    #4 0x7f69e2b65249 in __libc_start_call_main csu/../sysdeps/nptl/libc_start_call_main.h:58:16
"""
OVERFLOW = "==20692==ERROR: AddressSanitizer: heap-buffer-overflow on address 0x7f69 at pc 0x55b3 bp 0x7f sp 0x7f\n" \
           "WRITE of size 4 at 0x7f69 thread T0\n"


def stack(line=12, where="/nowhere/lib/parse.cc"):
    return STACK.format(line=line, where=where)


@pytest.mark.parametrize("log, kind, title, message", [
    (OVERFLOW + stack(), "crash", "heap-buffer-overflow", "heap-buffer-overflow, WRITE of size 4"),
    ("==2==ERROR: AddressSanitizer: SEGV on unknown address 0x000000000000 (pc 0x5 bp 0x7)\n" + stack(), "crash", "SEGV",
     "SEGV on unknown address 0x000000000000"),
    ("lib/q.cc:8:54: runtime error: index 7 out of bounds for type 'int[4]'\n" + stack(), "undefined",
     "index # out of bounds for type 'int[#]'", "index 7 out of bounds for type 'int[4]'"),
    ("==10==ERROR: LeakSanitizer: detected memory leaks\n\nDirect leak of 33 byte(s) in 1 object(s) allocated from:\n"
     + stack() + "\nSUMMARY: AddressSanitizer: 33 byte(s) leaked in 1 allocation(s).\n", "leak", "leak",
     "33 byte(s) leaked in 1 allocation(s)."),
    ("==5==ERROR: AddressSanitizer: requested allocation size 0x4000000000000 (0x4 after) exceeds maximum\n" + stack(),
     "oom", "allocation too big", "requested allocation size 0x4000000000000"),
    ("==5== ERROR: libFuzzer: out-of-memory (used: 1050Mb; limit: 1024Mb)\n", "oom", "out of memory",
     "out-of-memory (used: 1050Mb; limit: 1024Mb)"),
    ("==15== ERROR: libFuzzer: timeout after 3 seconds\n" + stack(), "hang", "timeout", "timeout after 3 seconds"),
    ("lib/a.cc:3: invariant broken: n > 0\n==6== ERROR: libFuzzer: deadly signal\n" + stack(), "crash", "deadly signal",
     "lib/a.cc:3: invariant broken: n > 0"),
    ("guestproof: ORACLE fetch-once: byte 3 at 0x1000 was read twice\nprogram\n==6== ERROR: libFuzzer: deadly signal\n"
     + stack(), "oracle", "fetch-once", "byte 3 at 0x1000 was read twice"),
])
def test_every_kind_of_report_is_told_apart(log, kind, title, message):
    report = crash.read("INFO: Seed: 1\n" + log)
    assert (report.kind, report.title, report.message) == (kind, title, message)


def test_a_log_without_a_failure_is_no_report():
    assert crash.read("") is None
    assert crash.read("#2 INITED cov: 12 ft: 13 corp: 1/1b exec/s: 0 rss: 30Mb\nDone 2 runs in 0 second(s)\n") is None


def test_only_our_own_frames_count():
    frames = crash.read(OVERFLOW + stack() + "\nfreed by thread T0 here:\n" + stack(line=99)).frames
    assert [str(frame) for frame in frames] == [
        "guestproof::block::parse /nowhere/lib/parse.cc:12", "(anonymous namespace)::step<int> /nowhere/lib/step.cc:7"]


def test_addresses_do_not_make_another_finding_and_lines_do():
    same = OVERFLOW.replace("0x7f69", "0x6666").replace("20692", "7")
    assert crash.read(OVERFLOW + stack()).key == crash.read(same + stack()).key
    assert crash.read(OVERFLOW + stack()).key != crash.read(OVERFLOW + stack(line=13)).key


def test_numbers_do_not_make_another_oracle_violation_and_words_do():
    def key(sentence):
        return crash.read(f"guestproof: ORACLE confinement: {sentence}\n" + stack(line=len(sentence))).key
    assert key("wrote 17 bytes at 0x10, past the 16 reported") == key("wrote 1 bytes at 0xffe0, past the 0 reported")
    assert key("wrote 17 bytes at 0x10, past the 16 reported") != key("wrote 17 bytes into a readable part at 0x10")


def test_a_hang_is_told_by_its_outer_frames():
    def key(inner):
        frames = f"    #0 0x1 in {inner} /nowhere/x.cc:5:1\n" + "".join(
            f"    #{i} 0x1 in outer{i} /nowhere/lib/y.cc:{len(inner) + i}:1\n" for i in range(1, 5))
        return crash.read("==15== ERROR: libFuzzer: timeout after 3 seconds\n" + frames).key
    assert key("one") == key("another")


def test_slowness_is_the_fastest_of_several_runs():
    assert Outcome("", milliseconds=[900, 40, 800]).slow() is None
    assert Outcome("", milliseconds=[900, 120, 800]).slow().message == "one execution takes 120 ms; the limit is 100 ms"
    assert Outcome("").slow() is None


@pytest.mark.parametrize("work, slow", [("sleep 0.4", False), ("i=0; while [ $i -lt 1000000 ]; do i=$((i+1)); done", True)])
def test_slowness_is_the_processors_and_not_the_wait_for_one(tmp_path, work, slow):
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\n{work}\necho Executed x in 400 ms\n")
    program.chmod(0o755)
    outcome = Bench(tmp_path / "bench", tmp_path, unit_timeout=1).execute(program, tmp_path / "x")
    assert (outcome.report, outcome.milliseconds) == (None, [400])
    assert bool(outcome.slow()) == slow, outcome


def test_a_run_that_takes_too_long_has_no_exit_code_and_its_processor_time(tmp_path):
    started = time.monotonic()
    _, code, processor = Bench(tmp_path / "bench", tmp_path, 1).run(["sleep", "100"], patience=0.1)
    assert code is None
    assert processor < 1000 * (time.monotonic() - started) < 50_000


@pytest.mark.parametrize("text, seconds", [("90s", 90), ("15m", 900), ("6h", 21600), ("1d", 86400)])
def test_times(text, seconds):
    assert duration.parse(text) == seconds


@pytest.mark.parametrize("text", ["", "15", "m", "1.5h", "-3m", "15 m", "15M", "0s", "31d", "999999999d", "1h30m", "¹s"])
def test_no_times(text):
    with pytest.raises(Fail, match="out of bounds|is not a time"):
        duration.parse(text)


@pytest.mark.parametrize("seconds, text", [(0, "0s"), (9.4, "9s"), (90, "1m 30s"), (3900, "1h 05m"), (183600, "2d 03h")])
def test_times_as_text(seconds, text):
    assert duration.show(seconds) == text


def simulate(total, slots, combinations, lives=None):
    """Runs a schedule without processes: the time each combination had, and its slices. `lives` end slices early."""
    plan = schedule.Schedule(combinations, schedule.slice_seconds(total, len(combinations), slots))
    running, used, starts, now = [], dict.fromkeys(combinations, 0.0), dict.fromkeys(combinations, 0), 0.0
    while now < total or running:
        while now < total and len(running) < slots and (turn := plan.next(now, [each for _, _, each, _ in running])):
            chosen, seconds = turn
            seconds = min(seconds, total - now)
            life = min((lives or {}).get(chosen, seconds), seconds)
            starts[chosen] += 1
            running.append((now + life, life, chosen, life < seconds))
        if not running:
            now += 0.25
            continue
        now, life, ended, by_itself = min(running)
        running.remove((now, life, ended, by_itself))
        used[ended] += life
        plan.ended(ended, now, life, by_itself)
    return used, starts


ENOUGH_FOR_THREE_ROUNDS = [
    (total, targets, slots)
    for total in (60, 900, 7200) for targets in (1, 4, 18) for slots in (1, 2, 7, 32)
    if total * slots / (3 * targets) >= 3 * schedule.SHORTEST_SLICE]


@pytest.mark.parametrize("total, targets, slots", ENOUGH_FOR_THREE_ROUNDS)
def test_shares_are_even_and_engines_alternate(total, targets, slots):
    combinations = combine([f"t{number}" for number in range(targets)], "both", "both")
    used, starts = simulate(total, slots, combinations)
    share = total * slots / len(combinations)
    slice_length = schedule.slice_seconds(total, len(combinations), slots)
    assert all(abs(seconds - share) <= slice_length + 1e-6 for seconds in used.values())
    assert min(starts.values()) >= 3
    assert slice_length <= schedule.LONGEST_SLICE


def test_fifteen_minutes_of_four_targets_on_two_processors_come_out_exactly():
    combinations = combine(["a", "b", "c", "d"], "both", "both")
    used, starts = simulate(900, 2, combinations)
    assert used == dict.fromkeys(combinations, 150.0)
    assert set(starts.values()) == {3}


def test_a_target_that_breaks_at_once_does_not_starve_the_others():
    good, bad = combine(["good", "bad"], "libfuzzer", "address")
    used, starts = simulate(600, 1, [good, bad], {bad: 0.5})
    assert used[good] > 500
    assert 40 < starts[bad] < 100


def test_afl_is_judged_by_the_sanitizers():
    assert judges(Combination("t", "afl")) == combine(["t"], "libfuzzer", "both")
    assert judges(Combination("t", "libfuzzer", "undefined"))[0].sanitizer == "undefined"


def depth_file(path: Path, counters: dict[str, int]) -> Path:
    records = b"".join(struct.pack("<56sQ", name.encode(), count) for name, count in counters.items())
    path.write_bytes(records.ljust(32 * 1024, b"\0"))
    return path


def test_depth_counters_are_summed_and_zeros_stay(tmp_path):
    files = [depth_file(tmp_path / "a", {"op:kick": 3, "request:in": 0}), depth_file(tmp_path / "b", {"op:kick": 1 << 40})]
    assert depth.total(files) == {"op:kick": (1 << 40) + 3, "request:in": 0}


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 128])
def test_a_depth_file_cut_short_gives_what_is_there(tmp_path, size):
    path = depth_file(tmp_path / "a", {"op:kick": 3, "op:rw": 4})
    path.write_bytes(path.read_bytes()[:size])
    assert depth.read(path) == dict(itertools.islice({"op:kick": 3, "op:rw": 4}.items(), size // 64))


def test_hostile_depth_names_are_only_text(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(struct.pack("<56sQ", b"\xff\x1b[2J", 1))
    assert list(depth.read(path).values()) == [1]


def intake(folder, pool, wanted=lambda name: True):
    return Intake(folder, wanted, lambda _name, content: pool.add(content))


def test_a_find_is_taken_when_it_is_complete(tmp_path):
    worker, pool = tmp_path / "worker", Pool(tmp_path / "pool")
    worker.mkdir()
    taker, content = intake(worker, pool), b"an input"
    path = worker / content_name(content)
    path.write_bytes(b"")
    assert taker.take(final=False) == 0
    path.write_bytes(content[:3])
    assert taker.take(final=False) == 0
    path.write_bytes(content)
    assert taker.take(final=False) == 1
    assert (pool.folder / path.name).read_bytes() == content
    path.unlink()
    assert pool.names == {path.name}


def test_what_a_dead_worker_left_half_written_poisons_nothing(tmp_path):
    worker, pool = tmp_path / "worker", Pool(tmp_path / "pool")
    worker.mkdir()
    (worker / content_name(b"never written")).write_bytes(b"")
    (worker / content_name(b"half written")).write_bytes(b"half")
    assert intake(worker, pool).take(final=True) == 1
    assert pool.names == {content_name(b"half")}


def test_an_input_that_two_workers_found_counts_once(tmp_path):
    pool = Pool(tmp_path / "pool")
    assert [pool.add(b"x"), pool.add(b"x"), pool.add(b"")] == [True, False, False]
    assert Pool(tmp_path / "pool").names == {content_name(b"x")}


def test_what_an_engine_replaced_stays_known_and_kept(tmp_path):
    worker, pool = tmp_path / "worker", Pool(tmp_path / "pool")
    worker.mkdir()
    taker = intake(worker, pool)
    for content in (b"long", b"short"):
        (worker / content_name(content)).write_bytes(content)
    taker.take(final=False)
    (worker / content_name(b"long")).unlink()
    pool.supersede(taker.gone())
    assert (pool.folder / "superseded" / content_name(b"long")).read_bytes() == b"long"
    assert (pool.folder / content_name(b"short")).exists()
    assert Pool(tmp_path / "pool").add(b"long") is False


def test_a_write_that_was_killed_leaves_nothing_behind(tmp_path):
    (tmp_path / ".new-abc").write_bytes(b"half")
    assert Pool(tmp_path).names == set()
    assert [path.name for path in tmp_path.iterdir()] == ["superseded"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "file"
    atomic.write(path, b"old")
    with pytest.raises(TypeError):
        atomic.write(path, "no bytes")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"old"


@pytest.mark.parametrize("content, complaint", [(b"{", "is not JSON"), (b"[1]", "holds a list"), (b"\xff", "is not JSON")])
def test_a_damaged_state_file_gets_a_sentence(tmp_path, content, complaint):
    (tmp_path / "state.json").write_bytes(content)
    with pytest.raises(Fail, match=complaint):
        atomic.read_json(tmp_path / "state.json")


def test_a_finding_survives_its_file(tmp_path):
    kept = finding.Finding("a-crash-1", "a", "libfuzzer", "address", "crash", "SEGV", "SEGV", [], True, "a-afl", 3.0, 64)
    (tmp_path / kept.id).mkdir()
    atomic.write_json(tmp_path / kept.id / "finding.json", vars(kept))
    assert finding.load(tmp_path) == {kept.id: kept}


def test_minimising_keeps_exactly_the_records_that_matter():
    records = [bytes([number]) * 32 for number in range(20)]
    tries = []

    def shows(content):
        tries.append(content)
        return records[3] in content and records[17] in content
    assert without_records(b"".join(records) + b"tail", shows) == records[3] + records[17]
    assert len(tries) < 150


def test_minimising_what_cannot_be_smaller_gives_it_back():
    assert without_records(b"x" * 320, lambda _content: False) == b"x" * 320


PLOT = "# relative_time, cycles_done, cur_item, corpus_count, pending_total, pending_favs, map_size, saved_crashes, " \
       "saved_hangs, max_depth, execs_per_sec, total_execs, edges_found\n"


@pytest.mark.parametrize("row, expected", [
    ("5, 26, 1, 7, 0, 0, 70.59%, 1, 0, 3, 13719.84, 89501, 12\n", (7, 13719, 89501, 12)),
    ("0, 0, 0, 1, 0, 0, 1.00%, 0, 0, 1, inf, 0, 4\n", (1, 0, 0, 4)),
    ("5, 26, 1, 7, 0, 0, 70.59%, 1, 0, 3, 137", (0, 0, 0, 0)),
    ("", (0, 0, 0, 0)),
])
def test_the_statistics_of_afl_are_read_as_far_as_they_are_written(tmp_path, row, expected):
    place = SimpleNamespace(run=run.Run(tmp_path))
    worker = afl.AflWorker(place, Combination("t", "afl"), 0, Pool(tmp_path / "pool"))
    (worker.folder / "out" / "default").mkdir(parents=True)
    (worker.folder / "out" / "default" / "plot_data").write_text(PLOT + row)
    worker.read_figures()
    figures = worker.figures
    assert (figures.corpus, figures.rate, figures.executions, figures.edges) == expected


def test_runs_are_found_by_name_path_and_last(tmp_path):
    made = run.create(tmp_path, {"seconds": 1})
    assert run.find(tmp_path, "last").folder == run.find(tmp_path, made.id).folder == made.folder
    assert run.find(Path("/nonexistent"), str(made.folder)).options()["seconds"] == 1
    with pytest.raises(Fail, match=f"there is no run 'x'; the newest ones are: {made.id}"):
        run.find(tmp_path, "x")


def test_two_jobs_cannot_share_a_run(tmp_path):
    made = run.create(tmp_path, {})
    with made.lock(), pytest.raises(Fail, match="another job is at work there"):
        made.lock()


@pytest.mark.parametrize("number", [1, 30])
def test_the_charts_have_room_for_any_number_of_targets(number):
    setup.ensure({"report"})
    targets = [f"target_{index}" for index in range(number)]
    names = [each.name for each in combine(targets, "both", "both")]
    points = [{"t": 60 * t, "edges": dict.fromkeys(names, t), "executions": dict.fromkeys(names, 9 * t),
               "corpus": dict.fromkeys(targets, t)} for t in range(3)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # what does not fit is warned of
        charts = report.charts(points)
    for _, chart in charts:
        assert chart.count('<g id="line2d_') >= number
    assert [chart.count('<g id="legend_') for _, chart in charts] == [1, 1, 0]
