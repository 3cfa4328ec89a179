"""What coverage is made of: places, marks, the ledger, the ratchet, floors and the frontier, on exports made by hand."""

import json

import pytest
from guestproof_dev.checks.tree import Tree
from guestproof_dev.coverage import floors, frontier, ledger, marks, places, ratchet
from guestproof_dev.coverage.frontier import Function
from guestproof_dev.coverage.history import History
from guestproof_dev.coverage.measure import Measured, Reach, _parts, _together, holds_code
from guestproof_dev.coverage.ratchet import FALL, OTHER, RISE
from guestproof_dev.errors import Fail
from guestproof_dev.targets import Target

# int f(int x) {            1   entry, called twice
#   if (x) return 1;        2   the condition was true once
#   // a remark             3   skipped
#   return missing(x);      4   a region of its own, never reached
# }                         5
EXPORT = {
    "segments": [[1, 14, 2, True, True, False], [2, 7, 2, True, True, False], [2, 8, 1, True, True, True],
                 [2, 10, 1, True, True, False], [2, 18, 0, True, True, True], [3, 3, 0, False, True, False],
                 [4, 3, 0, True, True, False], [5, 2, 0, False, False, False]],
    "branches": [[2, 7, 2, 8, 2, 0, 0, 0, 4]],
}


def test_places_of_an_export():
    found = places.read(EXPORT)
    assert found == {(1,): True, (2,): True, (4,): False, (5,): False, (1, 14): True, (2, 7): True, (2, 10): True,
                     (4, 3): False, (2, 7, "T"): True, (2, 7, "F"): False}
    assert places.counts(found) == {"lines": [2, 4], "regions": [3, 4], "branches": [1, 2]}


def test_an_outcome_of_any_instantiation_counts():
    twice = {"segments": [], "branches": [[2, 7, 2, 8, 3, 0, 0, 0, 4], [2, 7, 2, 8, 0, 1, 0, 0, 4]]}
    assert places.read(twice) == {(2, 7, "T"): True, (2, 7, "F"): True}


def test_places_are_spelled_and_read_back():
    missed = [(4,), (8,), (9,), (10,), (2, 7), (11, 30), (2, 7, "F"), (11, 3, "T")]
    assert places.spell(missed) == "4 8-10 2:7 11:30 2:7F 11:3T"
    assert places.parse("4 8-10 2:7 11:30 2:7F 11:3T") == missed


SOURCE = """\
int f(int x) {
  if (x) return 1;  // UNREACHABLE: x is never zero
  // UNREACHABLE: the loop above ends only with a result,
  // as its caller knows
  if (x == ')') {
    return call(1,
                2);
  }
  return 3;
}
"""


def test_marks_excuse_a_line_or_a_statement():
    assert [(mark.line, mark.lines, mark.reason) for mark in marks.find(SOURCE)] == [
        (2, range(2, 3), "x is never zero"), (3, range(4, 9), "the loop above ends only with a result,")]


def test_what_is_excused_counts_no_more():
    found = {(2,): True, (2, 10): False, (2, 7, "T"): False, (4,): False, (9,): False}
    left, excused, problems = marks.apply("a.cc", marks.find(SOURCE), found)
    assert left == {(2,): True, (9,): False}
    assert (excused, problems) == ([2, 4], [])


@pytest.mark.parametrize("source, sentence", [
    ("f();  // UNREACHABLE: it is\n", "a.cc:1: marked UNREACHABLE, and all of it is reached."),
    ("g();\ng();  // UNREACHABLE\n", "a.cc:2: the mark UNREACHABLE has no reason."),
    ("g();\ng();  // UNREACHABLE:\n", "a.cc:2: the mark UNREACHABLE has no reason."),
    ("g();\ng();  // UNREACHABLE: .\n", "a.cc:2: the mark UNREACHABLE has no reason."),
    ("// UNREACHABLE: all of it\nnamespace g {\n" + "g();\n" * 8 + "}\n",
     "a.cc:1: the mark UNREACHABLE stands for 10 lines; the limit is 8."),
])
def test_bad_marks(source, sentence):
    assert marks.apply("a.cc", marks.find(source), {(1,): True, (2,): False})[2] == [sentence]


def reach(files, functions=(), label="unit"):
    class Program:
        pass
    program = Program()
    program.label = label
    return Reach(program, files, dict(functions))


def test_programs_together_reach_what_one_of_them_does():
    first, second = reach({"a.h": {(1,): True, (2,): False}}), reach({"a.h": {(1,): False, (2,): True, (3,): False}})
    assert _together([first, second], [first, second]) == {"a.h": {(1,): True, (2,): True, (3,): False}}
    assert _together([first, second], [first]) == {"a.h": {(1,): True, (2,): False, (3,): False}}


def test_a_function_that_is_only_mentioned_says_nothing():
    # Line 2 is a remark: code only for the program that has no instantiation of the function.
    spot = ("a.h", 1, 3, "_Z1fv")
    mentions = reach({"a.h": {(1,): False, (2,): False, (3,): False, (7,): False}}, {spot: (False, 1)})
    calls = reach({"a.h": {(1,): True, (3,): False}}, {spot: (True, 2)})
    assert _together([mentions, calls], [mentions, calls]) == {"a.h": {(1,): True, (3,): False, (7,): False}}


def entry(lines, branches=(0, 0), missed=""):
    made = {"lines": list(lines), "regions": [1, 1], "branches": list(branches)}
    return {**made, "missed": missed} if missed else made


def ledgers(old, new, **sections):
    empty = {section: {} for section in ledger.SECTIONS}
    return {**empty, "files": old}, {**empty, "files": new, **sections}


@pytest.mark.parametrize("old, new, kind, words", [
    (entry([9, 10], missed="4"), entry([8, 10], missed="4 7"), FALL, "8 of 10 lines are reached, 9 of 10 were. Lost: a.cc:7."),
    (entry([9, 10], missed="4"), entry([7, 10], missed="5-7"), FALL, "Lost: a.cc:5-7."),
    (entry([9, 9], [2, 2]), entry([9, 9], [1, 2], "4:7T"), FALL, "1 of 2 branches are reached, 2 of 2 were. Lost: a.cc:4:7T."),
    (entry([9, 10], missed="4"), entry([10, 12], missed="4 11"), FALL, "Lost: a.cc:11."),
    (entry([9, 10], missed="4"), entry([10, 10]), RISE, "10 of 10 lines are reached, 9 of 10 were"),
    (entry([9, 10], missed="4"), entry([9, 9]), RISE, "9 of 9 lines"),
    (entry([9, 10], missed="4"), entry([5, 6], missed="2"), OTHER, "others are reached for: a.cc:2"),
    (entry([9, 10], missed="4"), entry([9, 10], missed="5"), OTHER, "others are reached for: a.cc:5"),
    (entry([9, 10], missed="4-5"), entry([10, 10], missed="7"), RISE, "others are reached for: a.cc:7"),
    (entry([9, 10]), {**entry([5, 6]), "unreachable": 4}, OTHER, "4 more lines are marked unreachable"),
    (entry([9, 10], missed="4"), None, OTHER, "is no longer there"),
    (None, entry([19, 20], missed="4"), RISE, "new, 19 of 20 lines"),
    (None, entry([18, 20], missed="4 7"), FALL, "18 of 20 lines are reached; the floor is 95 %. It is new. Missed: a.cc:4 7."),
])
def test_a_file_changes(old, new, kind, words):
    [change] = ratchet.compare(*ledgers({"a.cc": old} if old else {}, {"a.cc": new} if new else {}))
    assert change.kind == kind
    assert words in change.sentence


def test_what_is_the_same_is_no_change():
    assert ratchet.compare(*ledgers({"a.cc": entry([9, 10], missed="4")}, {"a.cc": entry([9, 10], missed="4")})) == []


def test_a_corpus_that_reaches_a_file_no_more_has_fallen():
    old, new = ledgers({"a.cc": entry([1, 1])}, {"a.cc": entry([1, 1])}, targets={"rng": {}})
    old["targets"] = {"rng": {"a.cc": entry([1, 1])}}
    [change] = ratchet.compare(old, new)
    assert change.kind == FALL
    assert (change.where, change.path) == ("the corpus of rng", "a.cc")
    assert change.sentence.startswith("reaches nothing any more; it reached 1 of 1 lines")


@pytest.mark.parametrize("section, where", [("targets", "the corpus of rng"), ("tests", "rng alone")])
@pytest.mark.parametrize("before, now, kind", [
    (entry([8, 9], missed="4"), entry([7, 9], missed="4 7"), FALL),
    (entry([8, 9], missed="4"), entry([8, 12], missed="4 10-12"), OTHER),
    (entry([8, 9], missed="4"), entry([5, 6], missed="4"), OTHER),
    (entry([8, 9], missed="4"), entry([9, 9]), RISE),
])
def test_alone_nothing_need_reach_what_is_new(section, where, before, now, kind):
    old, new = ledgers({}, {}, **{section: {"rng": {"a.cc": now}}})
    old[section] = {"rng": {"a.cc": before}}
    assert [(change.kind, change.where) for change in ratchet.compare(old, new)] == [(kind, where)]


@pytest.mark.parametrize("source, part", [
    ("tests/virtio/queue/chain_test.cc", ["lib/guestproof/virtio/queue/chain.cc", "lib/guestproof/virtio/queue/chain.h"]),
    ("props/virtio/queue_prop.cc", ["lib/guestproof/virtio/queue/chain.cc", "lib/guestproof/virtio/queue/chain.h",
                                    "lib/guestproof/virtio/queue/walk.h"]),
    ("tests/virtio/queue/turns_test.cc", ["lib/guestproof/virtio/queue/chain.cc", "lib/guestproof/virtio/queue/chain.h",
                                          "lib/guestproof/virtio/queue/walk.h"]),
])
def test_the_part_of_a_test_program(tmp_path, source, part):
    (tmp_path / source).parent.mkdir(parents=True)
    (tmp_path / source).touch()
    files = {f"lib/guestproof/{path}": {} for path in ("virtio/queue/chain.h", "virtio/queue/chain.cc",
                                                        "virtio/queue/walk.h", "base/error.h")}
    name = source.partition("/")[2].removesuffix(".cc").replace("/", "_")
    assert {key: sorted(value) for key, value in _parts(Tree(tmp_path), files).items()} == {name: part}


def test_what_was_missed_before_is_not_lost_where_its_line_has_moved(sketch):
    sketch.git("init", "--quiet")
    sketch.write("a.cc", "one\ntwo\nthree\nfour\n")
    sketch.write("ci/coverage.json", "{}")
    sketch.commit()
    sketch.write("a.cc", "zero\none\nother\nthree\nfour\n")
    follow = History(sketch.root).follow
    assert [follow("a.cc", place) for place in [(1,), (2,), (4, 7, "T")]] == [(2,), None, (5, 7, "T")]
    assert follow("unknown.cc", (3,)) == (3,)
    old, new = ledgers({"a.cc": entry([3, 4], missed="4")}, {"a.cc": entry([3, 5], missed="1 5")})
    assert ratchet.compare(old, new, follow)[0].sentence.endswith("Lost: a.cc:1.")


def test_a_test_that_is_gone_is_a_fall_even_where_no_line_is_lost():
    old, new = ledgers({}, {}, cases={"ring_test": 2, "chain_test": 9})
    old["cases"] = {"ring_test": 3}
    assert [(change.kind, change.path, change.sentence) for change in ratchet.compare(old, new)] == [
        (RISE, "chain_test", "runs 9 cases, ran 0"), (FALL, "ring_test", "runs 2 cases, ran 3")]


def test_what_depends_on_timing_is_a_floor():
    low, high = entry([8, 10], missed="4 7"), entry([9, 10], missed="4")
    old, new = ledgers({"a.cc": high}, {"a.cc": high}, timed={"a.cc": low})
    old["timed"] = {"a.cc": high}
    [change] = ratchet.compare(old, new)
    assert change.kind == FALL
    assert (change.where, change.path) == ("what depends on timing", "a.cc")
    assert change.sentence.startswith("8 of 10 lines are reached, 9 of 10 were. Lost: a.cc:7.")
    assert ratchet.compare(new, old) == []
    assert ratchet.floor({"a.cc": low}, {"a.cc": high}, may_rise=True) == {"a.cc": high}
    assert ratchet.floor({"a.cc": low}, {"a.cc": high}, may_rise=False) == {"a.cc": low}
    assert ratchet.floor({"a.cc": high}, {"a.cc": low}, may_rise=True) == {"a.cc": high}


def measured():
    return Measured(files={"lib/a.cc": {(1,): True, (2,): False, (2, 5): False, (3,): True, (3, 5): False}},
                    excused={"lib/a.cc": [7]}, cases={"a_test": 3},
                    tests={"a_test": {"lib/a.cc": {(1,): True, (2,): True, (3,): True}}},
                    targets={"rng": {"lib/a.cc": {(1,): True, (2,): False, (2, 5): False, (3,): False, (3, 5): False}}})


def test_the_ledger_has_a_line_for_each_file():
    text = ledger.spell(ledger.of(measured()))
    assert text.splitlines() == [
        '{', '"files": {',
        '"lib/a.cc": {"lines": [2, 3], "regions": [0, 2], "branches": [0, 0], "missed": "2 3:5", "unreachable": 1}',
        '},', '"targets": {', '"rng": {',
        '"lib/a.cc": {"lines": [1, 3], "regions": [0, 2], "branches": [0, 0], "missed": "2-3"}',
        '}', '},', '"tests": {', '"a_test": {', '"lib/a.cc": {"lines": [3, 3], "regions": [0, 0], "branches": [0, 0]}',
        '}', '},', '"timed": {},', '"cases": {', '"a_test": 3', '}', '}']
    assert json.loads(text) == ledger.of(measured())


@pytest.mark.parametrize("text, sentence", [
    ("[]", "holds a list where an object belongs."),
    ('{"files": {}}', "has no section 'targets'"),
    ('{"files": {"a": {"lines": "31"}}, "targets": {}, "tests": {}, "timed": {}, "cases": {}}', "what it says of 'a' is no coverage"),
    ('{"files": {"a": {"lines": [1, 1], "regions": [1, 1]}}, "targets": {}, "tests": {}, "timed": {}, "cases": {}}', "what it says of 'a' is no coverage"),
    ('{"files": {"a": null}, "targets": {}, "tests": {}, "timed": {}, "cases": {}}', "what it says of 'a' is no coverage"),
    ('{"files": {}, "targets": {"t": []}, "tests": {}, "timed": {}, "cases": {}}', "is no coverage: []"),
    ('{"files": {}, "targets": {}, "tests": {}, "timed": {}, "cases": {"t": "14"}}', "which is no number"),
    ("{", "is not JSON"),
])
def test_a_broken_ledger(tmp_path, text, sentence):
    (tmp_path / "ci").mkdir()
    (tmp_path / "ci" / "coverage.json").write_text(text)
    with pytest.raises(Fail) as failure:
        ledger.read(tmp_path)
    assert sentence in str(failure.value)


def test_floors():
    rng = Target("rng", "rng_fuzz.cc", ("lib",))
    assert floors.check(measured(), [rng]) == [
        "lib/: 2 of 3 lines are reached; the floor is 95 %.",
        "the corpus of rng in its SUBJECT: 1 of 3 lines are reached; the floor is 90 %."]
    nothing = Target("block", "block_fuzz.cc", ("lib/a.cc",))
    assert "the corpus of block in its SUBJECT: 0 of 3 lines are reached; the floor is 90 %." in \
        floors.check(measured(), [nothing])
    assert floors.below_floor("it", {"lines": [95, 100], "branches": [9, 10]}, floors.LIBRARY) == []


@pytest.mark.parametrize("demangled, name", [
    ("guestproof::Fd::release", "release"),
    ("guestproof::Ring<std::pair<int, int>>::pop<long, guestproof::A<int>>", "pop"),
    ("guestproof::operator==", "operator=="),
    ("guestproof::le<unsigned int>::operator<=>", "operator<=>"),
    ("guestproof::fail<int>[abi:cxx11]", "fail"),
    ("(anonymous namespace)::close_raw", "close_raw"),
    ("guestproof::f()::'lambda'(int)::operator()<long>", "operator()"),
    ("plain", "plain"),
])
def test_the_short_name_of_a_function(demangled, name):
    assert frontier.short(demangled) == name


FUNCTIONS = [Function("lib/a.cc", "top", 1, 3, True), Function("lib/a.cc", "called", 4, 4, False),
             Function("lib/a.cc", "alone", 5, 5, False), Function("lib/a.cc", "operator==", 6, 6, False),
             Function("lib/a.cc", "excused", 7, 7, False)]


@pytest.fixture
def library(sketch):
    sketch.write("lib/a.cc", "void top() {\n  called(); excused();\n}\nvoid called() {}\nvoid alone() { called(); }\n\n\n")
    return sketch


def test_the_frontier_is_what_reached_code_calls(library):
    found = frontier.find(library.root, FUNCTIONS, {"lib/a.cc": [7]})
    assert [function.name for function in found] == ["called", "operator=="]


def test_the_frontier_and_its_list(library):
    library.write("ci/frontier.txt", "# Why.\nlib/a.cc operator==: for tests\nlib/a.cc called:\nlib/a.cc old: was\n")
    assert frontier.check(library.root, FUNCTIONS, {"lib/a.cc": [7]}) == [
        "ci/frontier.txt: 'lib/a.cc old' is at the frontier no more; take it out.",
        "ci/frontier.txt: 'lib/a.cc called' has no reason."]
    library.write("ci/frontier.txt", "lib/a.cc operator==: for tests\n")
    [problem] = frontier.check(library.root, FUNCTIONS, {"lib/a.cc": [7]})
    assert problem.startswith("lib/a.cc:4: called() is called from code that tests reach")


def test_what_is_defaulted_is_the_compilers():
    text = "int a();\n  friend bool operator==(const X&, const X&) = default;\n"
    assert marks.without_defaults(text, {(1,): True, (2,): False, (2, 5, "F"): False}) == {(1,): True}


@pytest.mark.parametrize("text, holds", [
    ("int f() { return 1; }\n", True),
    ("// For others.\n#if defined(__aarch64__) || defined(__riscv)\n\nint f() { return 1; }\n\n#endif\n", False),
    ("#if defined(__x86_64__)\nint f() { return 1; }\n#endif\n", True),
    ("#if defined(__aarch64__)\nint f() { return 1; }\n#endif\nint g() { return 1; }\n", True),
    ("#if defined(__x86_64__)\nstruct S {\n  int x;\n};\n#endif\n", False),
    ("#define F(x) \\\n  int f(x) { return 1; }\n", False),
    ("consteval bool f(int x) {\n  return x;\n}\n", False),
])
def test_a_file_holds_code_when_this_machine_could_run_some(text, holds):
    assert holds_code(text) is holds
