"""clang-tidy sees what has changed, says it once, and does not look twice at what was clean."""

import json

import pytest
from guestproof_dev.checks import tidy
from guestproof_dev.checks.tree import Tree

CLEAN = "// What this header is for, in a sentence.\n#pragma once\n\ninline int zero() { return 0; }\n"
FAULTY = CLEAN + "\ninline long product(int a, int b) { return a * b; }\n"


class Project:
    """Two sources; both include small.h, one of them big.h as well."""

    def __init__(self, sketch):
        self.sketch, self.root = sketch, sketch.root
        self.database = self.root / "build" / "dev"
        sketch.write(".clang-tidy", "Checks: '-*,bugprone-implicit-widening-of-multiplication-result'\n"
                                    "WarningsAsErrors: '*'\nHeaderFilterRegex: '.*'\n")
        sketch.write("lib/guestproof/base/small.h", CLEAN)
        sketch.write("lib/guestproof/base/big.h", '#pragma once\n#include "guestproof/base/small.h"\n')
        sketch.write("tests/base_test.cc", '#include "guestproof/base/small.h"\nint one() { return zero(); }\n')
        sketch.write("tests/base/big_test.cc", '#include "guestproof/base/big.h"\nint two() { return zero(); }\n')
        sketch.write("build/dev/compile_commands.json", json.dumps([
            {"directory": str(self.root), "file": f"{self.root}/tests/{name}",
             "command": f"g++ -I{self.root}/lib -Wno-such-warning -Werror -c {self.root}/tests/{name}"}
            for name in ("base_test.cc", "base/big_test.cc")]))

    def units(self):
        return tidy.load(Tree(self.root), self.database)

    def examine(self):
        return tidy.examine(Tree(self.root), self.database, self.units())


@pytest.fixture
def project(sketch):
    return Project(sketch)


def test_a_clean_tree(project):
    assert project.examine() == []


def test_a_finding_in_a_header_is_told_once_wherever_one_stands(project, tmp_path_factory, monkeypatch):
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    project.sketch.write("lib/guestproof/base/small.h", FAULTY)
    [finding] = project.examine()
    assert finding.startswith("lib/guestproof/base/small.h:6: ") and "bugprone-implicit-widening" in finding


def test_a_source_that_does_not_compile(project):
    project.sketch.write("tests/base_test.cc", "int one() { return nothing; }\n")
    [finding] = project.examine()
    assert finding.startswith("tests/base_test.cc:1: use of undeclared identifier 'nothing'")


def test_gcc_s_precompiled_headers_are_passed_over(project):
    pch = project.root / "build/dev/cmake_pch.hxx"
    pch.with_name("cmake_pch.hxx.gch").write_bytes(b"gpch")
    database = project.database / "compile_commands.json"
    database.write_text(database.read_text().replace(" -c ", f" -fpch-preprocess -Winvalid-pch -include {pch} -c "))
    assert project.examine() == []


def test_a_run_keeps_its_compile_commands_while_another_starts(project, monkeypatch):
    """It read the other's, found no command for its source, and remembered that as clean."""
    own = []

    def look(tree, database, unit):
        tidy.examine(tree, project.database, [])
        own.append(str(unit.source) in (database / "compile_commands.json").read_text())
        return []

    monkeypatch.setattr(tidy, "_tidy", look)
    project.examine()
    assert own == [True, True]


def test_what_was_clean_is_not_examined_again(project, monkeypatch):
    project.examine()
    examined = []
    monkeypatch.setattr(tidy, "_tidy", lambda _tree, _database, unit: examined.append(str(unit.source)) or [])
    project.examine()
    assert examined == []
    project.sketch.write("lib/guestproof/base/big.h", '#pragma once\n#include "small.h"\n')
    project.examine()
    assert examined == ["tests/base/big_test.cc"]
    project.sketch.write(".clang-tidy", "Checks: '-*,bugprone-*'\n")
    project.examine()
    assert sorted(examined) == ["tests/base/big_test.cc", "tests/base/big_test.cc", "tests/base_test.cc"]


@pytest.mark.parametrize("changed, chosen", [
    (["tests/base_test.cc"], ["tests/base_test.cc"]),
    (["lib/guestproof/base/small.h"], ["tests/base_test.cc"]),
    (["lib/guestproof/base/big.h"], ["tests/base/big_test.cc"]),
    (["lib/guestproof/base/big.h", "lib/guestproof/base/small.h"], ["tests/base/big_test.cc"]),
    (["lib/guestproof/memory/memory.h"], []),
])
def test_a_changed_header_is_seen_through_the_smallest_source(project, changed, chosen):
    paths = {path for path in Tree(project.root).cxx if str(path) in changed}
    assert [str(unit.source) for unit in tidy.choose(project.units(), paths)] == chosen
