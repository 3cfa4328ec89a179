"""The corpus commands: what a run found is taken over by coverage, and nothing that reaches something is dropped."""

import hashlib
import re

import pytest
from planted import job


@pytest.fixture(scope="module")
def binaries():
    return job.build()


@pytest.fixture
def jobs(tmp_path, binaries):
    made = job.Jobs(tmp_path, binaries)
    made.seed("one-request", b"x")
    made.seed("another", b"w")  # the first input of a process reaches less than the same input does later
    return made


def corpus(jobs, *words):
    return jobs.dev("corpus", *words, "--binaries", jobs.binaries, "--corpus", jobs.corpus, "--out", jobs.out)


def put(folder, *contents):
    folder.mkdir(parents=True, exist_ok=True)
    for content in contents:
        (folder / hashlib.sha1(content).hexdigest()).write_bytes(content)


def found(jobs):
    return {path.read_bytes() for path in (jobs.corpus / "planted" / "found").iterdir()}


def test_only_what_reaches_more_is_added(jobs, tmp_path):
    put(tmp_path / "new", b"xlon", b"xlonger and the same", b"y", b"z")
    done = corpus(jobs, "add", str(tmp_path / "new"), "--target", "planted")
    assert done.returncode == 0, done.stderr
    assert found(jobs) == {b"xlon"}
    assert "planted: from 4 inputs: 2 inputs, 2 bytes -> 3 inputs, 6 bytes\n" in done.stdout
    assert [path.name for path in (jobs.corpus / "planted" / "found").iterdir()] == [hashlib.sha1(b"xlon").hexdigest()]


def test_an_input_that_only_one_sanitizer_tells_apart_is_added(jobs, tmp_path):
    jobs.environment["GUESTPROOF_PLANTED"] = "O"  # breaks under AddressSanitizer alone
    put(tmp_path / "new", b"Only")
    assert corpus(jobs, "add", str(tmp_path / "new"), "--target", "planted").returncode == 0
    assert found(jobs) == {b"Only"}


def test_a_run_is_added_by_name(jobs):
    assert jobs.fuzz("--time", "2s", "--engine", "libfuzzer", "--sanitizer", "address", "--jobs", "1").returncode == 0
    assert len(jobs.finds()) > 0
    assert corpus(jobs, "add", "last").returncode == 0
    assert 0 < len(found(jobs)) <= len(jobs.finds())


def test_minimising_drops_what_adds_nothing_and_touches_nothing_else(jobs):
    planted = jobs.corpus / "planted"
    put(planted / "found", b"xlon", b"xlonger and the same", b"y", b"")
    put(planted / "regressions", b"xlonger regression", b"x")
    before = reach(jobs)
    done = corpus(jobs, "minimise")
    assert done.returncode == 0, done.stderr
    assert found(jobs) == set()
    assert len(list((planted / "regressions").iterdir())) == 2
    assert {path.name for path in (planted / "seeds").iterdir()} == {"one-request", "another"}
    assert reach(jobs) == before


def test_minimising_keeps_what_adds_something(jobs):
    put(jobs.corpus / "planted" / "found", b"xlon", b"xlonger and the same", b"y")
    before = reach(jobs)
    assert corpus(jobs, "minimise").returncode == 0
    assert found(jobs) == {b"xlon"}
    assert reach(jobs) == before


def reach(jobs):
    return re.findall(r"\d+ edges", corpus(jobs, "stats").stdout)


def test_stats_show_every_kind_of_input(jobs):
    put(jobs.corpus / "planted" / "found", b"xlon")
    out = corpus(jobs, "stats").stdout
    assert out.startswith("planted: 3 inputs (seeds 2, found 1), 6 bytes; libfuzzer+asan: ")
    assert len(re.findall(r"\d+ edges", out)) == 2


@pytest.mark.parametrize("words, sentence", [
    (["add", "nothing"], "there is no run 'nothing'"),
    (["add", "."], ". is no run, so say with one --target whose inputs it holds."),
    (["minimise", "--target", "x"], "there is no fuzz target 'x'; the targets are: planted."),
    (["shrink"], "invalid choice: 'shrink'"),
])
def test_mistakes_get_a_sentence(jobs, tmp_path, words, sentence):
    done = jobs.dev("corpus", *words, *(["--binaries", jobs.binaries, "--out", jobs.out] if words != ["shrink"] else []),
                    cwd=tmp_path)
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
