"""The planted faults fit the tree, and the command that hunts them tells found from not found on a tree of its own."""

import difflib
import fcntl
import json
import re

import pytest

from guestproof_dev.errors import Fail
from guestproof_dev.paths import ROOT
from guestproof_dev.planted import fault, scratch

FAULTS = fault.load()

# A target that may write as many bytes as its buffer holds, and one line of which a fault can be made.
TARGET = """\
#include <cstdint>
#include <cstdio>
#include <cstdlib>

constexpr std::size_t kBuffer = 8;
std::size_t clamp(std::size_t size) { return size < kBuffer ? size : kBuffer; }
bool closed(std::uint8_t) { return false; }
bool quiet() { return true; }

[[noreturn]] void violated(const char* oracle) {
  std::fprintf(stderr, "guestproof: ORACLE %s: a sentence\\n", oracle);
  std::abort();
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (clamp(size) > kBuffer) violated("confinement");
  if (size != 0 && closed(data[0])) violated("liveness");
  return quiet() ? 0 : -1;
}
"""
TREE = {
    "CMakeLists.txt": "cmake_minimum_required(VERSION 3.25)\nproject(toy LANGUAGES CXX)\nadd_subdirectory(fuzz)\n",
    "CMakePresets.json": json.dumps({"version": 6, "configurePresets": [
        {"name": "fuzz-libfuzzer-asan", "generator": "Ninja", "binaryDir": "${sourceDir}/build/${presetName}",
         "cacheVariables": {"CMAKE_CXX_COMPILER": "clang++-19"}}]}),
    "fuzz/CMakeLists.txt": "add_compile_options(-fsanitize=fuzzer)\nadd_link_options(-fsanitize=fuzzer)\n"
                           "function(guestproof_fuzz_target name source)\n"
                           "  add_executable(${name}_fuzz ${source})\nendfunction()\n"
                           "guestproof_fuzz_target(toy toy_fuzz.cc SUBJECT lib)\n",
    "fuzz/toy_fuzz.cc": TARGET,
    "corpus/toy/seeds/long": "123456789",
}
CLAMP = "std::size_t clamp(std::size_t size) { return size < kBuffer ? size : kBuffer; }"
CLOSED = "bool closed(std::uint8_t) { return false; }"
QUIET = "bool quiet() { return true; }"


def patch(old: str, new: str, oracle: str = "confinement") -> str:
    """Against the target, or a text that the tree does not have."""
    before = TARGET if old in TARGET else old
    diff = difflib.unified_diff(before.splitlines(), before.replace(old, new).splitlines(), "a/fuzz/toy_fuzz.cc",
                                "b/fuzz/toy_fuzz.cc", lineterm="")
    return "\n".join(["# fault: a sentence", "# class: a class", "# target: toy", f"# oracle: {oracle}", *diff, ""])


@pytest.fixture
def toy(copy):
    for path, text in TREE.items():
        copy.write(path, text)
    return copy


@pytest.mark.parametrize("planted", FAULTS, ids=lambda planted: planted.name)
def test_every_fault_fits_the_tree(planted):
    scratch.apply(planted, ROOT, "--check")


def test_the_copy_has_all_folders_that_are_configured():
    folders = re.findall(r"add_subdirectory\((\w+)", (ROOT / "CMakeLists.txt").read_text())
    assert "tests" in folders
    assert set(folders) <= set(scratch.SOURCES)


def test_every_oracle_has_its_faults():
    assert set(fault.ORACLES) <= {finder for planted in FAULTS for finder in planted.finders}


def test_found_and_not_found(toy):
    toy.write("ci/planted/by_a_seed.patch", patch(CLAMP, "std::size_t clamp(std::size_t size) { return size; }"))
    toy.write("ci/planted/by_the_engine.patch",
              patch(CLOSED, "bool closed(std::uint8_t first) { return first == 0xfe; }", "round-trip, liveness"))
    toy.write("ci/planted/by_nobody.patch", patch(QUIET, "bool quiet() { return 1 + 1 == 2; }"))
    toy.write("ci/planted/by_another.patch", patch(CLOSED, "bool closed(std::uint8_t) { return true; }"))
    toy.write("ci/planted/gone.patch", patch("bool gone();", "bool here();"))
    toy.write("ci/planted/no_cpp.patch", patch(QUIET, "bool quiet() { return maybe; }"))
    done = toy.dev("planted", "--time", "2s", "--jobs", "1", "--json", str(toy.root / "results"))
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "2 of 6 planted faults found"), done.stdout + done.stderr
    results = {result["name"]: result for result in json.loads((toy.root / "results").read_text())["faults"]}
    verdicts = {name: (result["found_by"], result["by"], result["problem"]) for name, result in results.items()}
    assert verdicts == {
        "by_a_seed": ("confinement", "replay", ""),
        "by_the_engine": ("liveness", "fuzz", ""),
        "by_nobody": ("", "", "not found"),
        "by_another": ("liveness", "replay", "confinement should have found it"),
        "gone": ("", "", "its patch does not apply: patch failed: fuzz/toy_fuzz.cc:1."),
        "no_cpp": ("", "", "the build of the copy failed with exit code 1; the output is above."),
    }
    assert results["by_the_engine"]["executions"] > 1
    assert (toy.root / "fuzz" / "toy_fuzz.cc").read_text() == TARGET


def test_a_tree_that_fails_without_a_fault(toy):
    toy.write("fuzz/toy_fuzz.cc", TARGET.replace(CLOSED, "bool closed(std::uint8_t) { return true; }"))
    toy.write("ci/planted/one.patch", patch(QUIET, "bool quiet() { return false; }"))
    done = toy.dev("planted")
    assert (done.returncode, done.stdout) == (1, "")
    assert "corpus/toy: liveness has something to say about the tree without any planted fault" in done.stderr


@pytest.mark.parametrize("words, sentence", [
    (["--fault", "nothing"], "there is no planted fault 'nothing'"),
    (["--jobs", "0"], "0 jobs at the same time are too few"),
    (["--time", "soon"], "'soon' is not a time"),
    ([], "another run is at work there"),
])
def test_mistakes(toy, words, sentence):
    toy.write("ci/planted/one.patch", patch(QUIET, "bool quiet() { return false; }"))
    toy.write("build/faults/.lock", "")
    with open(toy.root / "build" / "faults" / ".lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = toy.dev("planted", *words)
    assert done.returncode == 1
    assert sentence in done.stderr


def test_a_tree_without_faults(toy):
    done = toy.dev("planted")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no planted fault" in done.stderr


@pytest.mark.parametrize("text, sentence", [
    ("--- a/file\n", "does not begin with the lines # fault: …, # class: …, # target: …, # oracle: …"),
    (patch("a", "b").replace("# target: toy", "# target: tea"), "there is no fuzz target 'tea'"),
    (patch("a", "b", "luck"), "the oracle 'luck' is none of fetch-once, "),
    ("", "does not begin with the lines"),
])
def test_bad_headers(tmp_path, text, sentence):
    path = tmp_path / "bad.patch"
    path.write_text(text)
    with pytest.raises(Fail) as failure:
        fault.read(path, {"toy"})
    assert sentence in str(failure.value)
