"""The corpus commands: what a run found is taken over by coverage, and nothing that reaches something is dropped."""

import hashlib
import re

import pytest
from guestproof_dev.corpus.collection import Collection
from guestproof_dev.fuzz.binaries import Binaries
from guestproof_dev.fuzz.combination import Combination
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


def test_an_input_that_breaks_the_target_belongs_to_no_corpus(jobs, tmp_path):
    jobs.environment["GUESTPROOF_PLANTED"] = "O"  # breaks under AddressSanitizer alone
    put(tmp_path / "new", b"Only")
    done = corpus(jobs, "add", str(tmp_path / "new"), "--target", "planted")
    path = tmp_path / "new" / hashlib.sha1(b"Only").hexdigest()
    assert done.returncode == 1
    assert done.stderr == f"dev: {path} breaks planted-libfuzzer-asan and so belongs to no corpus; see " \
                          f"`scripts/dev repro {path} --target planted`.\n"


def test_what_one_target_takes_in_is_tried_on_the_others(jobs, tmp_path):
    jobs.binaries = tmp_path / "binaries"
    for folder in job.BINARIES.glob("*/fuzz"):
        (jobs.binaries / folder.parent.name / "fuzz").mkdir(parents=True)
        for path in folder.iterdir():
            (jobs.binaries / folder.parent.name / "fuzz" / path.name).symlink_to(path)
            if path.name == "planted_fuzz":
                (jobs.binaries / folder.parent.name / "fuzz" / "cousin_fuzz").symlink_to(path)
    (jobs.corpus / "cousin" / "seeds").mkdir(parents=True)
    (jobs.corpus / "cousin" / "seeds" / "one").write_bytes(b"w")
    put(tmp_path / "new", b"xlon", b"y")
    done = corpus(jobs, "add", str(tmp_path / "new"), "--target", "planted")
    assert done.returncode == 0, done.stderr
    assert {path.read_bytes() for path in (jobs.corpus / "cousin" / "found").iterdir()} == {b"xlon"}
    assert "cousin: from 1 inputs: 1 inputs, 1 bytes -> 2 inputs, 5 bytes\n" in done.stdout


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
    assert len(re.findall(r"\d+ edges", out)) == 3


def test_the_check_fails_when_a_needed_input_is_gone(jobs, tmp_path):
    put(tmp_path / "new", b"xlon", b"y")
    assert corpus(jobs, "add", str(tmp_path / "new"), "--target", "planted").returncode == 0
    done = corpus(jobs, "check", str(tmp_path / "new"), "--target", "planted")
    assert (done.returncode, done.stderr) == (0, "")
    (jobs.corpus / "planted" / "found" / hashlib.sha1(b"xlon").hexdigest()).unlink()
    done = corpus(jobs, "check", str(tmp_path / "new"), "--target", "planted")
    assert done.returncode == 1
    assert len(re.findall(r"failed planted: \d+ edges of (libfuzzer\+asan|libfuzzer\+ubsan|afl) are reached by none of its "
                          rf"inputs; {hashlib.sha1(b'xlon').hexdigest()} reaches one.", done.stdout)) == 3


def test_the_check_of_files(jobs):
    assert corpus(jobs, "check").returncode == 0
    put(jobs.corpus / "planted" / "found", b"x", bytes(1 << 20))
    (jobs.corpus / "planted" / "found" / "name").write_bytes(b"content")
    out = corpus(jobs, "check").stdout
    assert "failed corpus/planted/found/name: is not named by its content" in out
    assert "is planted/seeds/one-request once more" in out
    assert "failed corpus/planted: 1048586 bytes are too many; the limit is 1048576;" in out


class Fake:
    """A judge for which the bytes of an input are what it reaches; a hasty one picks at most one input at a time."""

    def __init__(self, name, alphabet, hasty=False):
        self.combination = Combination("planted", "libfuzzer", name)
        self.alphabet, self.hasty, self.broken = set(alphabet), hasty, set()

    def picks(self, base, source):
        return set() if self.hasty else set(self.adds(base, source).values())

    def adds(self, base, source):
        def reach(folder):
            return {byte: path.name for path in sorted(folder.iterdir()) for byte in set(path.read_bytes()) & self.alphabet}
        return {byte: name for byte, name in reach(source).items() if byte not in reach(base)}


@pytest.fixture
def collection(jobs, tmp_path):
    made = Collection(Binaries(jobs.binaries, jobs.corpus), "planted", tmp_path / "work")
    made.fill = lambda *judges: setattr(made, "_judges", list(judges))
    return made


def test_an_input_that_only_one_judge_tells_apart_is_added(jobs, collection, tmp_path):
    put(tmp_path / "new", b"ab", b"abc", b"c")
    collection.fill(Fake("address", b"ab"), Fake("undefined", b"c"))
    _, taken = collection.add(sorted((tmp_path / "new").iterdir()))
    assert set(b"abc") <= set(b"".join(path.read_bytes() for path in taken))


def test_what_a_judge_forgets_to_pick_is_kept_for_its_edges(jobs, collection):
    put(jobs.corpus / "planted" / "found", b"a", b"b", b"x")
    collection.fill(Fake("address", b"abxw", hasty=True))
    collection.minimise()
    assert found(jobs) == {b"a", b"b"}


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


def test_a_run_that_does_not_say_its_targets(jobs, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text("{}")
    done = jobs.dev("corpus", "add", tmp_path / "run", "--binaries", jobs.binaries, "--out", jobs.out)
    assert done.returncode == 1
    assert "does not say which targets the run had." in done.stderr
    assert "Traceback" not in done.stderr
