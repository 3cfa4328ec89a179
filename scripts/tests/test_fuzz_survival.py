"""What a fuzz job survives, and what it says when it cannot go on: kills, signals, full and read-only disks, mistakes."""

import os
import re
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest
from planted import job

NEEDS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")


@pytest.fixture(scope="module")
def binaries():
    return job.build()


@pytest.fixture
def jobs(tmp_path, binaries):
    made = job.Jobs(tmp_path, binaries)
    made.seed("benign", b"xlon")
    return made


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 96 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "none", folder], check=True)
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk):
    (disk / "filler").write_bytes(bytes(job_free(disk) - (8 << 20)))


def job_free(folder) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def test_killed_in_the_middle_it_resumes_with_nothing_lost(jobs):
    jobs.environment["GUESTPROOF_PLANTED"] = "OH"
    running = jobs.start("--time", "9s", "--jobs", "3")
    running.wait_for_words("found: crash in planted")
    running.wait_for(lambda: len(jobs.finds()) >= 3 and (jobs.run / "state.json").exists(), "finds and state")
    os.kill(running.process.pid, signal.SIGKILL)
    running.process.wait()
    wait_until_none(lambda: job.workers(jobs.run))
    finds, broken = jobs.finds(), broken_inputs(jobs.run)

    done = jobs.fuzz_again("--resume", "last")
    assert done.returncode == 2, done.stdout + done.stderr
    assert finds <= jobs.finds()
    assert len(broken_inputs(jobs.run)) >= len(broken)
    assert "crash" in jobs.kinds()
    summary = jobs.summary()
    assert summary["sessions"] == 2
    assert 8.5 <= summary["elapsed_seconds"] <= 30


def wait_until_none(some):
    deadline = time.monotonic() + 10
    while left := some():
        assert time.monotonic() < deadline, f"still alive: {left}"
        time.sleep(0.05)


def broken_inputs(run):
    """All inputs that broke something, triaged or not."""
    return [path for path in (run / "crashes").rglob("*")
            if path.name == "input" or path.parent.name == "more" or path.match("incoming/*/*-*[0-9a-f]")]


def test_a_finished_run_needs_more_time_to_go_on(jobs):
    assert jobs.fuzz("--time", "2s", "--engine", "libfuzzer", "--sanitizer", "address", "--jobs", "1").returncode == 0
    assert "has used its 2s; give it more with --time" in jobs.fuzz_again("--resume", "last").stderr
    assert "--jobs cannot be changed by --resume" in jobs.fuzz_again("--resume", "last", "--jobs", "2").stderr
    assert jobs.fuzz_again("--resume", "last", "--time", "4s").returncode == 0
    assert jobs.summary()["sessions"] == 2


def test_ctrl_c_ends_with_the_report_and_a_log_out_ends_nothing(jobs):
    running = jobs.start("--time", "1h", "--jobs", "2")
    running.wait_for_workers()
    running.process.send_signal(signal.SIGHUP)
    running.wait_for(lambda: (jobs.run / "state.json").exists(), "the state")
    running.process.send_signal(signal.SIGINT)
    assert running.end() == 0
    assert jobs.summary()["elapsed_seconds"] < 60
    assert (jobs.run / "report.html").exists()
    assert job.workers(jobs.run) == []
    assert not list((jobs.run / "work").iterdir())


def test_a_terminal_shows_a_table_and_may_go_away(jobs):
    reader, terminal = os.openpty()
    process = subprocess.Popen([str(job.DEV), *map(str, jobs.words("--time", "1h", "--jobs", "1"))], stdout=terminal,
                               stderr=subprocess.DEVNULL, start_new_session=True,
                               env={**jobs.environment, "TERM": "xterm", "COLUMNS": "80"})
    os.close(terminal)
    read_until(reader, b"left of 1h 00m", b"time left", b"memory", b"libfuzzer+ubsan")
    os.close(reader)
    process.send_signal(signal.SIGHUP)
    before = (jobs.run / "state.json").stat().st_mtime_ns if (jobs.run / "state.json").exists() else 0
    wait_until_none(lambda: not (jobs.run / "state.json").exists() or (jobs.run / "state.json").stat().st_mtime_ns == before)
    assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait(job.PATIENCE) == 0
    assert jobs.summary()["elapsed_seconds"] > 2


def read_until(reader, *wanted):
    """What the terminal was sent, up to the point where all of these have been seen."""
    shown, deadline = b"", time.monotonic() + job.PATIENCE
    while not all(each in shown for each in wanted):
        assert select.select([reader], [], [], max(0, deadline - time.monotonic()))[0], shown
        shown += os.read(reader, 4096)
    return shown


def test_ctrl_c_twice_ends_at_once(jobs):
    jobs.environment["GUESTPROOF_PLANTED"] = "H"
    jobs.seed("hang", b"H")
    running = jobs.start("--time", "1h", "--engine", "libfuzzer", "--jobs", "2")
    running.wait_for(lambda: list((jobs.run / "crashes").glob("incoming/*/timeout-*")), "a hang in triage")
    running.process.send_signal(signal.SIGINT)
    running.process.send_signal(signal.SIGTERM)
    began = time.monotonic()
    assert running.end() == 2
    assert time.monotonic() - began < 8
    assert jobs.summary()["waiting"] + len(jobs.summary()["findings"]) > 0


def test_a_worker_that_is_killed_is_replaced_and_counted(jobs):
    running = jobs.start("--time", "1h", "--engine", "libfuzzer", "--sanitizer", "address", "--jobs", "1")
    victim = running.wait_for(lambda: jobs.out.exists() and next(filter(stop, fuzzers(jobs.run)), None), "a worker")
    os.kill(victim, signal.SIGKILL)
    running.wait_for(lambda: [pid for pid in fuzzers(jobs.run) if pid != victim], "another worker")
    running.process.send_signal(signal.SIGTERM)
    assert running.end() == 0
    assert jobs.summary()["combinations"][0]["killed"] == 1
    assert "1 workers of planted were killed from outside" in running.output()


def stop(pid: int) -> bool:
    """Whether the process is stopped now: it may have ended by itself, and then a signal does nothing."""
    try:
        os.kill(pid, signal.SIGSTOP)
        while (state := Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]) not in "TtZX":
            time.sleep(0.001)
        return state in "Tt"
    except OSError:
        return False


def fuzzers(run) -> list[int]:
    def program(pid):
        try:
            return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
        except OSError:
            return ""
    return [pid for pid in job.workers(run) if program(pid) == "planted_fuzz"]


@NEEDS_ROOT
def test_a_full_disk_is_waited_out_and_ends_the_job_when_it_stays_full(jobs, small_disk):
    jobs.out = small_disk / "out"
    running = jobs.start("--time", "1h", "--jobs", "2", "--full-disk-patience", "3")
    running.wait_for_workers()
    fill(small_disk)
    running.wait_for_words("the disk is full: .* waiting for room")
    (small_disk / "filler").unlink()
    running.wait_for_words("there is room again; going on")
    running.wait_for_workers()
    fill(small_disk)
    running.wait_for_words("the disk is full", times=3)
    assert running.end() == 1
    assert jobs.summary()["exit_code"] == 1
    assert "the disk is full" in jobs.summary()["errors"][0]
    assert (jobs.run / "report.html").exists()
    assert all(path.stat().st_size for path in (jobs.run / "corpus" / "planted").rglob("*"))


@NEEDS_ROOT
def test_a_disk_that_is_full_from_the_start(jobs, small_disk):
    fill(small_disk)
    jobs.out = small_disk / "out"
    assert_one_sentence(jobs.fuzz("--time", "9s"), "only 7 MiB are free; a job needs 68 MiB.")


@NEEDS_ROOT
def test_a_read_only_output_folder(jobs, small_disk):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    jobs.out = small_disk
    assert_one_sentence(jobs.fuzz("--time", "9s"),
                        f"{small_disk}: a job cannot write its folder there: Read-only file system.")


def test_an_output_folder_that_cannot_be_one(jobs, tmp_path):
    (tmp_path / "file").write_text("")
    jobs.out = tmp_path / "file"
    assert_one_sentence(jobs.fuzz("--time", "9s"), "a job cannot write its folder there: Not a directory.")


@pytest.mark.parametrize("words, sentence", [
    (["--target", "nothing"], "there is no fuzz target 'nothing'; the targets are: planted."),
    (["--time", "soon"], "'soon' is not a time; write a number and s, m, h or d, as in 90s, 15m or 1d."),
    (["--time", "0s"], "'0s' is out of bounds; a time may be from 1s to 30d."),
    (["--time", "9999999999h"], "is out of bounds; a time may be from 1s to 30d."),
    (["--time", "1s", "--jobs", "1"], "1s on 1 CPUs leave 0.3 s to each of 3 combinations"),
    (["--jobs", "0"], "--jobs 0 is out of bounds; it may be from 1 to 1024."),
    (["--jobs", "many"], "argument --jobs: invalid int value: 'many'"),
    (["--engine", "honggfuzz"], "argument --engine: invalid choice: 'honggfuzz'"),
    (["--seed", "-1"], "--seed -1 is out of bounds"),
    (["--resume", "nothing"], "there is no run 'nothing'; the newest ones are: none."),
])
def test_mistakes_get_a_sentence(jobs, words, sentence):
    assert_one_sentence(jobs.fuzz(*words), sentence)


def assert_one_sentence(done, sentence):
    assert done.returncode == 1, done.stdout
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1 and done.stderr.startswith("dev: ")


def test_an_engine_that_does_not_run_is_named_and_the_others_go_on(jobs, tmp_path, binaries):
    for preset in ("fuzz-libfuzzer-asan", "dev"):
        (tmp_path / "binaries" / preset).parent.mkdir(exist_ok=True)
        (tmp_path / "binaries" / preset).symlink_to(binaries / preset)
    broken = tmp_path / "binaries" / "fuzz-afl" / "fuzz" / "planted_fuzz"
    broken.parent.mkdir(parents=True)
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o755)
    jobs.binaries = tmp_path / "binaries"
    done = jobs.fuzz("--time", "3s", "--sanitizer", "address", "--jobs", "2")
    assert done.returncode == 1
    assert "error: planted-afl does not run: [-] PROGRAM ABORT" in done.stdout
    assert jobs.summary()["combinations"][0]["executions"] > 0


FAILING_MUTATOR = """
#include <stddef.h>
void* afl_custom_init(void* afl, unsigned seed) { return afl; }
void afl_custom_deinit(void* state) {}
size_t afl_custom_fuzz(void* state, unsigned char* data, size_t size, unsigned char** out) {
  static int runs;
  *out = ++runs % 500 ? data : 0;  /* at which afl-fuzz gives up */
  return size;
}
"""


def test_an_engine_that_ends_again_and_again_with_no_input_to_blame_is_an_error(jobs, tmp_path, binaries):
    jobs.binaries = tmp_path / "binaries"
    for link in ("fuzz-libfuzzer-asan", "dev", "fuzz-afl/fuzz/planted_fuzz"):
        (jobs.binaries / link).parent.mkdir(parents=True, exist_ok=True)
        (jobs.binaries / link).symlink_to(binaries / link)
    library = jobs.binaries / "fuzz-afl" / "fuzz" / "libguestproof_afl_mutator.so"
    subprocess.run(["clang-19", "-shared", "-fPIC", "-xc", "-", "-o", library], input=FAILING_MUTATOR.encode(), check=True)
    done = jobs.fuzz("--time", "6s", "--engine", "afl", "--jobs", "1")
    assert done.returncode == 1
    assert re.search(r"error: planted-afl ended by itself \d+ times: \[-\] PROGRAM ABORT : Error in custom_fuzz", done.stdout)


def test_a_program_that_is_missing_is_named(jobs, tmp_path, binaries):
    (tmp_path / "binaries").mkdir()
    (tmp_path / "binaries" / "fuzz-afl").symlink_to(binaries / "fuzz-afl")
    jobs.binaries = tmp_path / "binaries"
    assert_one_sentence(jobs.fuzz("--time", "6s"), "fuzz-libfuzzer-asan/fuzz/planted_fuzz: there is no such program")


@pytest.mark.parametrize("words, sentence", [
    (["repro", "/nonexistent"], "/nonexistent: there is no such file."),
    (["repro", __file__, "--binaries", "BINARIES"], "its place does not tell the target; name one with --target: planted."),
    (["repro", __file__, "--target", "x", "--binaries", "BINARIES"], "there is no fuzz target 'x'"),
])
def test_repro_says_what_it_cannot_do(jobs, binaries, words, sentence):
    done = jobs.dev(*[str(binaries) if word == "BINARIES" else word for word in words])
    assert_one_sentence(done, sentence)


def test_list_prints_the_targets_only(jobs):
    done = jobs.fuzz("--list")
    assert (done.returncode, done.stdout) == (0, "planted\n")
