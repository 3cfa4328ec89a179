"""`scripts/dev build` and `scripts/dev test` on small projects."""

import json
import os
import platform
import subprocess

import pytest
from guestproof_dev.test import skips, told

PROJECT = """
cmake_minimum_required(VERSION 3.25)
project(sketch LANGUAGES NONE)
enable_testing()
add_custom_target(part COMMAND ${CMAKE_COMMAND} -E touch ${CMAKE_BINARY_DIR}/part)
add_custom_target(whole ALL COMMAND ${CMAKE_COMMAND} -E touch ${CMAKE_BINARY_DIR}/whole)
"""
PRESETS = {"version": 6, "configurePresets": [
    {"name": name, "generator": "Ninja", "binaryDir": "${sourceDir}/build/${presetName}"} for name in ("dev", "other")]}


@pytest.fixture
def project(copy):
    copy.write("CMakeLists.txt", PROJECT)
    copy.write("CMakePresets.json", json.dumps(PRESETS))
    return copy


def add(project, text: str) -> None:
    project.write("CMakeLists.txt", (project.root / "CMakeLists.txt").read_text() + text)


def test_builds_and_names_the_folder(project):
    done = project.dev("build")
    assert (done.returncode, done.stdout) == (0, f"{project.root}/build/dev\n")
    assert done.stderr.startswith("dev: built dev in ") and done.stderr.count("\n") == 1
    assert (project.root / "build/dev/whole").exists() and not (project.root / "build/dev/part").exists()


def test_builds_one_target_of_another_preset(project):
    assert project.dev("build", "other", "--target", "part").returncode == 0
    assert [path.name for path in (project.root / "build").glob("other/[pw]*")] == ["part"]


def test_failure_shows_the_output_from_where_it_failed(project):
    add(project, "add_custom_target(bad ALL COMMAND ${CMAKE_COMMAND} -E echo this-is-why COMMAND false)\n")
    done = project.dev("build")
    assert done.returncode == 1
    assert done.stderr.startswith("FAILED: ")
    assert "\nthis-is-why\n" in done.stderr
    assert done.stderr.endswith("dev: the build of dev failed with exit code 1; the output is above.\n")


def test_configures_again_when_needed_only(project):
    add(project, 'file(APPEND ${CMAKE_BINARY_DIR}/configured "$ENV{NOTHING}x")\n')
    configured = project.root / "build/dev/configured"
    project.dev("build")
    project.dev("build")
    assert configured.read_text() == "x"
    presets = project.root / "CMakePresets.json"
    later = (project.root / "build/dev/build.ninja").stat().st_mtime_ns + 10**9
    os.utime(presets, ns=(later, later))
    project.dev("build")
    assert configured.read_text() == "xx"


def test_configuring_alone_sees_a_changed_project(project):
    project.dev("build")
    add(project, 'file(WRITE ${CMAKE_BINARY_DIR}/configured "")\n')
    later = (project.root / "build/dev/build.ninja").stat().st_mtime_ns + 10**9
    os.utime(project.root / "CMakeLists.txt", ns=(later, later))
    subprocess.run(["/usr/bin/python3", "-c", "from guestproof_dev import build; build.configure('dev')"], check=True,
                   env={**project.environment, "PYTHONPATH": str(project.root / "scripts")}, capture_output=True)
    assert (project.root / "build/dev/configured").exists()


def test_starts_afresh_after_a_configuration_that_failed(project):
    project.write("CMakeLists.txt", PROJECT + 'set(VALUE wrong CACHE STRING "")\nmessage(FATAL_ERROR "no compiler")\n')
    done = project.dev("build")
    assert done.returncode == 1
    assert "no compiler" in done.stderr
    project.write("CMakeLists.txt", PROJECT + 'if(DEFINED VALUE)\nmessage(FATAL_ERROR "left over")\nendif()\n')
    assert project.dev("build").returncode == 0


def test_starts_afresh_in_a_tree_that_was_moved(project, tmp_path):
    project.dev("build")
    project.root.rename(tmp_path / "moved")
    project.root = tmp_path / "moved"
    assert project.dev("build").stdout == f"{tmp_path}/moved/build/dev\n"


TESTS = """
add_test(NAME good COMMAND ${CMAKE_COMMAND} -E true)
add_test(NAME bad COMMAND ${CMAKE_COMMAND} -E false)
add_test(NAME foreign COMMAND ${CMAKE_COMMAND} -E cat ${PROJECT_SOURCE_DIR}/build/other/whole)
set_tests_properties(good PROPERTIES LABELS unit)
set_tests_properties(bad PROPERTIES LABELS prop)
set_tests_properties(foreign PROPERTIES LABELS replay)
add_test(NAME emulated COMMAND ${CMAKE_COMMAND} -E cat ${PROJECT_SOURCE_DIR}/build/other/whole)
set_tests_properties(emulated PROPERTIES LABELS unit-other)
"""


@pytest.mark.parametrize("words, code, summary", [
    (["-L", "unit"], 0, "100% tests passed, 0 tests failed out of 1"),
    (["-R", "^good$"], 0, "100% tests passed, 0 tests failed out of 1"),
    (["-L", "prop"], 1, "0% tests passed, 1 tests failed out of 1"),
    (["-L", "unit|prop"], 1, "50% tests passed, 1 tests failed out of 2"),
])
def test_runs_the_tests_that_match(project, words, code, summary):
    add(project, TESTS)
    done = project.dev("test", *words)
    assert done.returncode == code
    assert summary in done.stdout
    assert "bad ....." in done.stdout or code == 0
    assert "good ...." not in done.stdout
    assert not (project.root / "build/other").exists()


@pytest.mark.parametrize("label", ["replay", "unit-other", "unit-.*"])
def test_builds_the_other_preset_for_a_test_of_its_binary(project, label):
    add(project, TESTS)
    assert project.dev("test", "-L", label).returncode == 0
    assert (project.root / "build/other/whole").exists()


def test_a_foreign_architecture_needs_its_compilers(project):
    project.write("CMakePresets.json", json.dumps(PRESETS).replace('"other"', '"riscv64"'))
    project.program("dpkg-query", 'shift 3; for name in "$@"; do [[ $name == g++-* ]] || echo "installed $name"; done')
    project.program("sudo", "")
    project.program("apt-get", "echo 'E: no network'; exit 100")
    assert project.dev("build").returncode == 0
    done = project.dev("build", "riscv64")
    assert done.returncode == 1
    assert done.stderr.endswith("apt-get could not install g++-aarch64-linux-gnu g++-riscv64-linux-gnu: no network.\n")


def test_runs_units_and_properties_of_another_preset(project):
    add(project, TESTS)
    add(project, "add_custom_target(unit COMMAND ${CMAKE_COMMAND} -E touch ${CMAKE_BINARY_DIR}/few)\nadd_custom_target(prop)\n")
    done = project.dev("test", "--preset", "other")
    assert [path.name for path in (project.root / "build/other").glob("[fpw]*")] == ["few"]
    assert "50% tests passed, 1 tests failed out of 2" in done.stdout  # not the foreign one
    assert not (project.root / "build/dev").exists()
    assert project.dev("test", "--preset", "other", "-L", "unit").returncode == 0


@pytest.mark.parametrize("label, built", [("kvm", ["dev/few"]), ("kvm-riscv64", ["riscv64/few"]),
                                          ("kvm|kvm-riscv64", ["dev/whole", "riscv64/whole"])])
def test_for_a_label_of_tests_on_a_kvm_only_these_are_built(project, label, built):
    project.write("CMakePresets.json", json.dumps(PRESETS).replace('"other"', '"riscv64"'))
    project.complain("")
    add(project, """add_custom_target(kvm COMMAND ${CMAKE_COMMAND} -E touch ${CMAKE_BINARY_DIR}/few)
add_test(NAME here COMMAND ${PROJECT_SOURCE_DIR}/scripts/dev with-kvm --arch x86_64 -- true)
add_test(NAME abroad COMMAND ${CMAKE_COMMAND} -E compare_files ${PROJECT_SOURCE_DIR}/build/riscv64/build.ninja
  ${PROJECT_SOURCE_DIR}/build/riscv64/build.ninja)
set_tests_properties(here PROPERTIES LABELS kvm)
set_tests_properties(abroad PROPERTIES LABELS kvm-riscv64)""")
    assert project.dev("test", "-L", label).returncode == 0
    assert sorted(str(path.relative_to(project.root / "build")) for name in ("few", "whole")
                  for path in project.root.glob(f"build/*/{name}")) == built


def test_without_a_machine_that_has_a_kvm_its_tests_are_skipped_or_fail(project):
    add(project, """add_custom_target(kvm)
add_test(NAME guest COMMAND ${PROJECT_SOURCE_DIR}/scripts/dev with-kvm --arch riscv64 -- guest)
set_tests_properties(guest PROPERTIES LABELS kvm-riscv64 SKIP_RETURN_CODE 77)""")
    project.program("guest", "")
    project.program("dpkg-query", 'shift 3; for name in "$@"; do [[ $name == qemu-* ]] || echo "installed $name"; done')
    project.program("sudo", 'while [[ $1 == -* ]]; do shift; done; exec "$@"')
    project.program("apt-get", "echo 'E: no network'; exit 100")
    project.environment.pop("KVM_REQUIRED", None)
    done = project.dev("test", "-L", "kvm-riscv64")
    assert done.returncode == 0 and "guest (Skipped)" in done.stdout
    assert done.stdout.endswith(f"\ndev: skipped 1: there is no KVM: the host is {platform.machine()}, and no machine can be "
                                "emulated: apt-get could not install qemu-system-x86 qemu-system-arm qemu-system-misc: no "
                                "network.\n    guest\n")
    assert "dev: no KVM for riscv64: apt-get could not install qemu-system-x86 qemu-system-arm qemu-system-misc: no network." \
        in done.stderr
    project.environment["KVM_REQUIRED"] = "machine"
    assert project.dev("test", "-L", "kvm-riscv64").returncode == 1


LOG = """Start testing: Nov 21 19:57 UTC
----------------------------------------------------------
1/3 Testing: kvm.state
1/3 Test: kvm.state
Output:
----------------------------------------------------------
[ RUN      ] State.Saves
some output
state_kvm.cc:2: Skipped
this KVM has no
clock
[  SKIPPED ] State.Saves (0 ms)
[ RUN      ] State.Runs
[       OK ] State.Runs (0 ms)
[ RUN      ] All/State.Silent/0
state_kvm.cc:4: Skipped

[  SKIPPED ] All/State.Silent/0 (12 ms)
[ RUN      ] State.Loads
state_kvm.cc:7: Skipped
this KVM has no clock
[  SKIPPED ] State.Loads (0 ms)
[  SKIPPED ] 3 tests, listed below:
[  SKIPPED ] State.Saves
<end of output>
2/3 Testing: Files.Map
[ RUN      ] Files.Map
map_test.cc:7: Skipped
this KVM has no clock
[  SKIPPED ] Files.Map (0 ms)
3/3 Testing: kvm.claims
dev: skipped: there is no KVM: the host is mips.
"""


def test_what_was_skipped_is_told_with_its_reason():
    assert told(skips(LOG)) == """dev: skipped 3: this KVM has no clock
    kvm.state State.Saves State.Loads
    Files.Map
dev: skipped 1: no reason is given
    kvm.state All/State.Silent/0
dev: skipped 1: there is no KVM: the host is mips.
    kvm.claims
"""


def test_the_skipped_cases_of_a_test_that_passed_are_told_however_much_it_says(project):
    said = "[ RUN      ] A.B\n" + "much\n" * 5000 + "a.cc:1: Skipped\nno x\n[  SKIPPED ] A.B (0 ms)\n" + "more\n" * 5000
    project.write("said", said)
    add(project, "add_test(NAME program COMMAND ${CMAKE_COMMAND} -E cat ${PROJECT_SOURCE_DIR}/said)\n")
    done = project.dev("test")
    assert done.returncode == 0
    assert done.stdout.endswith("\ndev: skipped 1: no x\n    program A.B\n")


@pytest.mark.parametrize("words, asked", [(["-L", "uni"], "-L ^(uni)$"), (["-R", "nothing"], "-R nothing"),
                                          (["-L", "unit", "-R", "bad"], "-L ^(unit)$ -R bad")])
def test_no_match_is_an_error(project, words, asked):
    add(project, TESTS)
    done = project.dev("test", *words)
    assert done.returncode == 1
    assert f"dev: no test matches {asked}; labels are unit, unit-ARCH, prop, replay, kvm, kvm-ARCH, e2e and tool.\n" in done.stderr


def test_a_wrong_pattern_is_an_error(project):
    add(project, TESTS)
    done = project.dev("test", "-R", "(")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("dev: ctest cannot list the tests: ")
    assert done.stderr.endswith("Unmatched parentheses.\n")


def test_a_tree_without_tests_is_an_error(project):
    done = project.dev("test")
    assert done.returncode == 1
    assert "no test matches" in done.stderr


@pytest.fixture
def benchmarks(project):
    """A release preset whose benchmark program prints its arguments."""
    presets = [{**PRESETS["configurePresets"][0], "name": "release"}]
    project.write("CMakePresets.json", json.dumps({**PRESETS, "configurePresets": presets}))
    add(project, "file(WRITE ${CMAKE_BINARY_DIR}/tests/bench/guestproof_bench \"#!/bin/sh\\necho ran $*\\n\")\n"
                 "file(CHMOD ${CMAKE_BINARY_DIR}/tests/bench/guestproof_bench PERMISSIONS OWNER_READ OWNER_EXECUTE)\n"
                 "add_custom_target(guestproof_bench)\n")
    return project


@pytest.mark.parametrize("words, printed", [([], "ran\n"), (["--filter", "a b"], "ran --benchmark_filter=a b\n")])
def test_runs_the_benchmarks(benchmarks, words, printed):
    done = benchmarks.dev("bench", *words)
    assert (done.returncode, done.stdout) == (0, printed)


def test_benchmarks_that_are_not_built(benchmarks):
    benchmarks.write("CMakeLists.txt", PROJECT + "add_custom_target(guestproof_bench)\n")
    done = benchmarks.dev("bench")
    assert done.returncode == 1
    assert done.stderr.endswith("guestproof_bench: the release preset did not build the benchmarks.\n")
