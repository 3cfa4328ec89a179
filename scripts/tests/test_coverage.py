"""`scripts/dev coverage` on a small project of its own, really built and measured."""

import json

import pytest
from conftest import Copy
from guestproof_dev import setup

FLAGS = "-O0 -fprofile-instr-generate -fcoverage-mapping -fprofile-update=atomic -mllvm -runtime-counter-relocation"
PRESETS = json.dumps({"version": 6, "configurePresets": [
    {"name": "coverage", "generator": "Ninja", "binaryDir": "${sourceDir}/build/${presetName}",
     "cacheVariables": {"CMAKE_CXX_COMPILER": "clang++-19", "CMAKE_CXX_FLAGS": FLAGS}}]})
LISTS = """\
cmake_minimum_required(VERSION 3.25)
project(toy LANGUAGES CXX)
enable_testing()
include_directories(lib)
foreach(label unit prop)
  add_executable(a_${label} a_${label}.cc)
  add_custom_target(${label} DEPENDS a_${label})
  foreach(case one two)
    add_test(NAME ${label}.${case} COMMAND a_${label} --gtest_filter=${case})
    set_tests_properties(${label}.${case} PROPERTIES LABELS ${label})
  endforeach()
endforeach()
add_test(NAME refused.copy COMMAND ${CMAKE_COMMAND} -E true)
set_tests_properties(refused.copy PROPERTIES LABELS unit)
add_subdirectory(fuzz)
"""
FUZZ = """\
function(guestproof_fuzz_target name source)
  add_executable(${name}_replay ${source})
  add_custom_target(replay DEPENDS ${name}_replay)
  add_test(NAME replay.plain.${name} COMMAND ${name}_replay corpus)
  set_tests_properties(replay.plain.${name} PROPERTIES LABELS replay)
endfunction()
guestproof_fuzz_target(toy toy_fuzz.cc SUBJECT lib/toy.h)
"""
LIBRARY = """\
#pragma once
template <class T>
T larger(T a, T b) {
  if (a < b)
    return b;
  return a;
}
inline int doubled(int x) {
  return 2 * x;
}
"""
UNIT = """\
#include <sys/wait.h>
#include <unistd.h>
#include <cstdlib>
#include "toy.h"
int main() {
  // What a child reached before it died counts.
  const int child = fork();
  if (child == 0) {
    larger(1, 2);
    std::abort();
  }
  waitpid(child, nullptr, 0);
  return larger(2L, 1L) == 2 && doubled(1) == 2 ? 0 : 1;
}
"""
REPLAY = '#include "toy.h"\nint main() { return doubled(1) + larger(1, 0) + larger(0, 1) == 4 ? 0 : 1; }\n'
HALF = '#include "toy.h"\nint main() { return larger(1, 2) - 2; }\n'
LEDGER = "ci/coverage.json"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    setup.ensure({"build", "fuzz", "report"})
    folder = tmp_path_factory.mktemp("coverage")
    made = Copy(folder / "tree", folder / "bin")
    for path, text in {"CMakeLists.txt": LISTS, "CMakePresets.json": PRESETS, "fuzz/CMakeLists.txt": FUZZ,
                       "a_prop.cc": HALF}.items():
        made.write(path, text)
    (made.root / "ci").mkdir()
    return made


@pytest.fixture
def tree(project):
    """The project as it is when everything holds."""
    project.write("lib/toy.h", LIBRARY)
    project.write("a_unit.cc", UNIT)
    project.write("fuzz/toy_fuzz.cc", REPLAY)
    (project.root / LEDGER).unlink(missing_ok=True)
    done = project.dev("coverage", "--profile", "devel")
    assert (done.returncode, done.stderr.count("\n")) == (0, 1), done.stdout + done.stderr
    return project


def coverage(tree, code, *words):
    done = tree.dev("coverage", *words)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def test_the_ledger_says_what_is_covered(tree):
    held = json.loads((tree.root / LEDGER).read_text())
    assert held["files"] == {"lib/toy.h": {"lines": [8, 8], "regions": [5, 5], "branches": [2, 2]}}
    assert held["targets"] == {"toy": held["files"]}
    assert held["cases"] == {"a_unit": 2, "a_prop": 2, "refused": 1}
    before = (tree.root / LEDGER).read_bytes()
    assert "nothing has changed" in coverage(tree, 0)
    coverage(tree, 0, "--profile", "devel")
    assert (tree.root / LEDGER).read_bytes() == before


def test_without_a_ledger_ci_fails(tree):
    (tree.root / LEDGER).unlink()
    assert "`scripts/dev coverage --profile devel` writes it" in coverage(tree, 1)


def test_a_fall_names_the_lines_and_writes_nothing(tree):
    tree.write("a_unit.cc", HALF)
    tree.write("fuzz/toy_fuzz.cc", HALF)
    before = (tree.root / LEDGER).read_bytes()
    for profile in ("ci", "devel"):
        out = coverage(tree, 1, "--profile", profile)
        assert "failed lib/toy.h: 4 of 8 lines are reached, 8 of 8 were" in out
        assert "Lost: lib/toy.h:6 8-10 " in out, out
        assert "lib/toy.h:8: doubled() " not in out  # nothing that is reached calls it
    assert (tree.root / LEDGER).read_bytes() == before


def test_a_rise_fails_in_ci_and_is_written_by_devel(tree):
    tree.write("lib/toy.h", LIBRARY.replace("return 2 * x;", "return x < 0 ? -1 : 2 * x;"))
    (tree.root / LEDGER).unlink()
    out = coverage(tree, 1, "--profile", "devel")
    assert "lib/: 3 of 4 branches are reached; the floor is 90 %." in out
    tree.write("a_unit.cc", UNIT.replace("larger(2L", "doubled(-1) == -1 && larger(2L"))
    out = coverage(tree, 1)
    assert "failed lib/toy.h: 8 of 8 regions are reached, 7 of 8 were; 4 of 4 branches are reached, 3 of 4 were" in out
    assert "`scripts/dev coverage --profile devel` writes it; commit that." in out
    assert "ok     lib/toy.h: 8 of 8 regions" in coverage(tree, 0, "--profile", "devel")
    assert "nothing has changed" in coverage(tree, 0)


def test_what_is_marked_unreachable_counts_apart(tree):
    tree.write("lib/toy.h", LIBRARY.replace("return 2 * x;", "return x < 0 ? -1 : 2 * x;  // UNREACHABLE: never less"))
    out = coverage(tree, 0, "--profile", "devel")
    assert "; 1 lines are marked unreachable" in out
    assert '"unreachable": 1' in (tree.root / LEDGER).read_text()
    tree.write("a_unit.cc", UNIT.replace("larger(2L", "doubled(-1) == -1 && larger(2L"))
    assert "lib/toy.h:9: marked UNREACHABLE, and all of it is reached." in coverage(tree, 1)


def test_a_case_that_skips_itself_is_missed(tree):
    skips = UNIT.replace("  // What", '  std::puts("[  SKIPPED ] 1 test, listed below:");\n  // What')
    tree.write("a_unit.cc", skips.replace("<cstdlib>", "<cstdlib>\n#include <cstdio>"))
    assert "a_unit: runs 1 cases, ran 2" in coverage(tree, 1, "--profile", "devel")


def test_a_test_that_runs_no_program_is_missed(tree):
    tree.write("CMakeLists.txt", LISTS.replace("refused.copy PROPERTIES LABELS unit", "refused.copy PROPERTIES LABELS tool"))
    try:
        assert "refused: runs 0 cases, ran 1" in coverage(tree, 1, "--profile", "devel")
    finally:
        tree.write("CMakeLists.txt", LISTS)


def test_a_file_that_no_program_sees_fails(tree):
    tree.write("lib/forgotten.h", "// What it is for.\ninline int f(int x) {\n  return x;\n}\n")
    tree.write("lib/words.h", "// f() {\nint f(int x);\nconstexpr int kNone{};\n")
    out = coverage(tree, 1, "--profile", "devel")
    assert "lib/forgotten.h: holds code, and no program that was measured is instrumented for it." in out
    assert "words.h" not in out
    (tree.root / "lib/forgotten.h").unlink()
    assert "nothing has changed" in coverage(tree, 0)


def test_a_failing_program_fails(tree):
    tree.write("a_unit.cc", '#include <cstdio>\n#include "toy.h"\nint main() { std::puts("three"); return doubled(1); }\n')
    done = tree.dev("coverage")
    assert done.returncode == 1
    assert done.stdout == "three\n"
    assert "dev: a_unit failed with exit code 2, so nothing can be said of what it covers" in done.stderr


def test_an_empty_profile_fails(tree):
    tree.write("a_unit.cc", "int main() {}\n")
    done = tree.dev("coverage")
    assert done.returncode == 1
    assert "dev: a_unit reached nothing of lib: its profile is empty." in done.stderr


def test_part_of_the_tests_is_compared_with_nothing(tree):
    out = coverage(tree, 0, "--from", "prop,replay")
    assert "measured from prop,replay only: compared with nothing" in out


def test_programs_that_need_a_kvm(tree):
    """Run by `with-kvm`, here on the host; the ledger holds them as a floor, and a run without them says nothing of it."""
    tree.complain("")
    tree.write("CMakeLists.txt", LISTS + """
add_executable(a_kvm a_unit.cc)
add_custom_target(kvm DEPENDS a_kvm)
add_test(NAME kvm.a COMMAND ${PROJECT_SOURCE_DIR}/scripts/dev with-kvm --time 1m -- $<TARGET_FILE:a_kvm>)
set_tests_properties(kvm.a PROPERTIES LABELS kvm)
""")
    assert "measured from kvm only: compared with nothing" in coverage(tree, 0, "--from", "kvm")
    coverage(tree, 0, "--from", "unit,prop,replay,kvm", "--profile", "devel")
    ledger = json.loads((tree.root / LEDGER).read_text())
    assert ledger["timed"]["lib/toy.h"]["lines"][0] > 0 and "a_kvm" not in ledger["cases"]
    coverage(tree, 0)
    tree.write("CMakeLists.txt", LISTS)


def test_pages(tree):
    assert "index.html" in coverage(tree, 0, "--html", str(tree.root / "pages"))
    assert '<a href="lib.toy.h.html">lib/toy.h</a>' in (tree.root / "pages" / "index.html").read_text()
    assert '<li class="reached">  return 2 * x;</li>' in (tree.root / "pages" / "lib.toy.h.html").read_text()


@pytest.mark.parametrize("words, sentence", [
    (["--from", "unit,props"], "--from knows no 'props'; it may list unit, prop, replay, kvm, e2e."),
    (["--from", "e2e"], "no test matches -L ^e2e$"),
    (["--profile", "strict"], "invalid choice: 'strict'"),
])
def test_mistakes_get_a_sentence(tree, words, sentence):
    done = tree.dev("coverage", *words)
    assert done.returncode == 1
    assert sentence in done.stderr


def test_a_missing_tool_fails(tree):
    tree.program("llvm-cov-19", "exit 127")
    done = tree.dev("coverage")
    (tree.bin / "llvm-cov-19").unlink()
    assert done.returncode == 1
    assert "dev: llvm-cov-19 export failed: exit code 127." in done.stderr
