"""Fuzz jobs on a target with planted bugs: each is found, kept, told apart, and shown again by the printed command."""

import json
import re
import shlex
import struct

import pytest
from planted import job


@pytest.fixture(scope="module")
def binaries():
    return job.build()


def plant(tmp_path_factory, binaries, bugs):
    return job.Jobs(tmp_path_factory.mktemp("job"), binaries, bugs)


THREE_RECORDS = b"O, and more than this bug needs".ljust(96, b".")
# One input per kind of bug; under UndefinedBehaviorSanitizer only some of them show.
INPUTS = {"O": THREE_RECORDS, "U": b"U", "I": b"Integer", "V": b"Violation", "H": b"H", "M": b"M", "L": b"Leak",
          "S": b"S"}


@pytest.fixture(scope="module")
def all_bugs(tmp_path_factory, binaries):
    """A job that meets every bug in its seeds."""
    jobs = plant(tmp_path_factory, binaries, "".join(INPUTS))
    for name, content in INPUTS.items():
        jobs.seed(name, content)
    jobs.seed("benign", b"xlon")
    jobs.done = jobs.fuzz("--time", "12s", "--engine", "libfuzzer", "--jobs", "2")
    return jobs


def test_every_kind_of_bug_is_a_finding(all_bugs):
    assert all_bugs.done.returncode == 2, all_bugs.done.stdout
    titles = sorted({(finding["kind"], finding["title"]) for finding in all_bugs.summary()["findings"]})
    assert titles == [("crash", "heap-buffer-overflow"), ("crash", "heap-use-after-free"), ("hang", "timeout"),
                      ("leak", "leak"), ("oom", "out of memory"), ("oracle", "confinement"), ("slow", "slow unit"),
                      ("undefined", "signed integer overflow: # + # cannot be represented in type 'int'")]


def test_an_oracle_violation_has_its_own_words(all_bugs):
    finding = next(each for each in all_bugs.summary()["findings"] if each["kind"] == "oracle")
    assert re.fullmatch(r"wrote \d+ bytes at 0x[0-9a-f]+, past the 16 reported as used", finding["message"])


def test_the_same_bug_under_two_sanitizers_is_one_finding(all_bugs):
    kinds = all_bugs.kinds()
    for kind in ("hang", "oracle", "slow"):
        assert kinds.count(kind) == 1


def test_every_finding_is_kept_with_its_text_and_report(all_bugs):
    for finding in all_bugs.summary()["findings"]:
        folder = all_bugs.run / "crashes" / finding["id"]
        assert (folder / "input").read_bytes()
        assert (folder / "scenario.txt").read_text().strip()
        assert (folder / "report.txt").exists()
        assert json.loads((folder / "finding.json").read_text())["id"] == finding["id"]


def test_the_printed_command_reproduces(all_bugs):
    finding = next(each for each in all_bugs.summary()["findings"] if each["title"] == "heap-buffer-overflow")
    assert finding["reproduce"] in all_bugs.done.stdout
    command, *words = shlex.split(finding["reproduce"])
    again = all_bugs.dev(*words)
    assert command.endswith("scripts/dev")
    assert again.returncode == 2
    assert "crash: heap-buffer-overflow, READ of size 1\n" in again.stdout
    assert "read_past_the_end scripts/tests/planted/planted_fuzz.cc:" in again.stdout
    assert again.stdout.startswith("   O")  # the input as text


def test_what_is_fixed_does_not_reproduce(all_bugs):
    finding = all_bugs.summary()["findings"][0]
    bugs, all_bugs.environment["GUESTPROOF_PLANTED"] = all_bugs.environment["GUESTPROOF_PLANTED"], ""
    again = all_bugs.dev("repro", finding["input"])
    all_bugs.environment["GUESTPROOF_PLANTED"] = bugs
    assert again.returncode == 0
    assert "nothing broke" in again.stdout


def test_seeds_that_break_the_target_do_not_block_it(all_bugs):
    state = json.loads((all_bugs.run / "state.json").read_text())
    assert len(state["left_out"]["planted"]) >= 6
    assert all(row["edges"] > 0 for row in all_bugs.summary()["combinations"])


def test_depth_counters_are_summed_and_missing_ones_named(all_bugs):
    summary = all_bugs.summary()
    files = list((all_bugs.run / "depth").iterdir())
    counts = [struct.unpack_from("<56sQ56sQ", path.read_bytes()) for path in files]
    assert {count[0].rstrip(b"\0") for count in counts} == {b"request:any"}
    assert len(files) >= 2 and all(count[1] for count in counts)
    assert summary["depth"]["planted"]["request:any"] == sum(count[1] for count in counts)
    assert summary["depth"]["planted"]["request:long"] == sum(count[3] for count in counts)
    assert summary["never_reached"] == {"planted": ["request:never"]}
    assert "never reached in planted: request:never\n" in all_bugs.done.stdout


def test_the_report_is_one_page_with_charts_and_findings(all_bugs):
    page = (all_bugs.run / "report.html").read_text()
    assert page.count("<svg") == 3
    assert "heap-use-after-free" in page
    assert not re.search(r"""(?:src|href)=["']?(?:https?:|/)""", page)


def test_the_source_tree_is_not_written_to(all_bugs):
    assert sorted(path.name for path in (all_bugs.corpus / "planted").rglob("*")) == sorted([*INPUTS, "benign", "seeds"])


def test_a_finding_is_minimised_and_the_original_kept(tmp_path_factory, binaries):
    jobs = plant(tmp_path_factory, binaries, "O")
    jobs.seed("long", THREE_RECORDS)
    jobs.fuzz("--time", "2s", "--engine", "libfuzzer", "--sanitizer", "address", "--jobs", "1")
    finding, = jobs.summary()["findings"]
    assert (finding["minimising"], finding["size"]) == ("done", 96)
    assert finding["minimised_size"] <= 32
    assert (jobs.run / "crashes" / finding["id"] / "input").read_bytes() == THREE_RECORDS
    assert len((jobs.run / "crashes" / finding["id"] / "minimised").read_bytes()) == finding["minimised_size"]


@pytest.fixture(scope="module")
def afl(tmp_path_factory, binaries):
    """A job in which AFL++ meets one bug in a seed, which it passes over, and must find the other."""
    jobs = plant(tmp_path_factory, binaries, "VN")
    jobs.seed("breaks", b"Violation")
    jobs.seed("one-bit-off", b"L")
    jobs.done = jobs.fuzz("--time", "6s", "--engine", "afl", "--jobs", "2")
    return jobs


def test_what_afl_finds_is_confirmed_by_a_sanitizer(afl):
    assert afl.done.returncode == 2, afl.done.stdout
    found = {each["title"]: each for each in afl.summary()["findings"]}
    assert set(found) == {"confinement", "SEGV"}
    assert {(each["sanitizer"], each["found_by"], each["reproducible"]) for each in found.values()} == {
        ("address", "planted-afl", True)}


def test_many_inputs_with_the_same_bug_are_one_finding(afl):
    assert sum(each["count"] for each in afl.summary()["findings"]) + afl.summary()["waiting"] > 2
    assert len(afl.summary()["findings"]) == 2


def test_afl_tells_its_figures(afl):
    row = afl.summary()["combinations"][0]
    assert row["executions"] > 100 and row["edges"] > 3 and row["finds"] > 0 and row["memory_bytes"] > 1 << 20
    assert len(afl.finds()) == row["finds"]


def test_a_clean_target_gives_exit_code_0_and_finds(tmp_path_factory, binaries):
    jobs = plant(tmp_path_factory, binaries, "")
    done = jobs.fuzz("--time", "5s", "--sanitizer", "address", "--jobs", "2")
    assert done.returncode == 0, done.stdout
    assert jobs.summary()["findings"] == []
    assert len(jobs.finds()) >= 3
    assert all(row["executions"] > 0 for row in jobs.summary()["combinations"])


def test_what_does_not_reproduce_is_kept_and_labelled(tmp_path_factory, binaries):
    jobs = plant(tmp_path_factory, binaries, "F")
    done = jobs.fuzz("--time", "3s", "--engine", "libfuzzer", "--sanitizer", "address", "--jobs", "1")
    assert done.returncode == 2
    assert [each["reproducible"] for each in jobs.summary()["findings"]] == [False]
    assert "(does not reproduce)" in done.stdout


def test_a_target_that_always_breaks_is_one_finding(tmp_path_factory, binaries):
    jobs = plant(tmp_path_factory, binaries, "A")
    done = jobs.fuzz("--time", "3s", "--jobs", "2")
    assert done.returncode == 2, done.stdout
    assert jobs.kinds() == ["crash"]
    assert 2 <= sum(row["breakdowns"] for row in jobs.summary()["combinations"]) <= 30
