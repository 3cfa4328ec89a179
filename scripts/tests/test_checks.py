"""Each static check passes on a good tree and says what is wrong with a planted violation."""

import pytest
from guestproof_dev.checks import corpora, features, formatting, headers, layering, mirror, scripting, words
from guestproof_dev.checks.tree import Tree
from guestproof_dev.errors import Fail

HEADER = "// What this header is for, in a sentence.\n#pragma once\n"
LAYERS = """
base:
memory: base
virtio/queue: memory
virtio/device/*: virtio/queue
testing: virtio/device/*
testing/model: testing !virtio/queue
fuzz: testing
props: testing
tests: testing
system: linux/
"""


@pytest.fixture(autouse=True)
def lists(monkeypatch, tmp_path_factory):
    """The checks read lists of these tests' own."""
    folder = tmp_path_factory.mktemp("lists")
    for module, name, text in ((layering, "LAYERS", LAYERS), (mirror, "EXCEPTIONS", "")):
        (folder / name).write_text(text)
        monkeypatch.setattr(module, name, folder / name)
    return folder


@pytest.mark.parametrize("check", [formatting, headers, layering, mirror, scripting, words],
                         ids=lambda check: check.__name__.rpartition(".")[2])
def test_good_tree_passes(sketch, check):
    assert sketch.problems(check) == ""


def test_format(sketch):
    sketch.write("tests/base_test.cc", "int  main( ) { return 0 ; }\n")
    assert "tests/base_test.cc:1: not formatted" in sketch.problems(formatting)
    formatting.fix(Tree(sketch.root))
    assert sketch.problems(formatting) == ""


@pytest.mark.parametrize("style", ["NoSuchOption: true\n", None])
def test_format_without_a_style_is_an_error(sketch, style):
    sketch.write(".clang-format", style) if style else sketch.remove(".clang-format")
    with pytest.raises(Fail, match="clang-format-19 failed: "):
        sketch.problems(formatting)


@pytest.mark.parametrize("path, include, problem", [
    ("lib/guestproof/base/error.h", '"guestproof/memory/memory.h"', "'base' may not include 'memory'"),
    ("lib/guestproof/base/error.h", '"../memory/memory.h"', "'base' may not include 'memory'"),
    ("lib/guestproof/base/error.h", "<guestproof/memory/memory.h>", "'base' may not include 'memory'"),
    ("lib/guestproof/virtio/device/rng/rng.h", '"guestproof/virtio/device/block/block.h"',
     "'virtio/device/rng' may not include 'virtio/device/block'"),
    ("lib/guestproof/memory/memory.h", '"tests/memory/memory_test.cc"', "'memory' may not include 'tests'"),
    ("lib/guestproof/memory/memory.h", "<fmt/format.h>", "may not depend on <fmt/format.h>"),
    ("lib/guestproof/memory/memory.h", "<rapidcheck.h>", "may not depend on <rapidcheck.h>"),
    ("lib/guestproof/memory/memory.h", '"guestproof/gone.h"', "there is no guestproof/gone.h"),
    ("lib/guestproof/memory/memory.h", "SOME_MACRO", "must name its file"),
])
def test_layers(sketch, path, include, problem):
    sketch.write(path, f"{HEADER}\n#include {include}\n")
    assert f"{path}:4: " in sketch.problems(layering)
    assert problem in sketch.problems(layering)


def test_layers_of_those_included_may_be_included(sketch):
    sketch.write("lib/guestproof/virtio/device/rng/rng.h", f'{HEADER}\n#include "guestproof/base/error.h"\n')
    assert sketch.problems(layering) == ""


def test_layers_may_refuse_what_others_let_through(sketch):
    sketch.write("lib/guestproof/virtio/queue/wire.h", HEADER)
    sketch.write("lib/guestproof/testing/driver.h", f'{HEADER}\n#include "guestproof/virtio/queue/wire.h"\n')
    sketch.write("lib/guestproof/testing/model/model.h", f'{HEADER}\n#include "guestproof/testing/driver.h"\n')
    assert sketch.problems(layering) == ""
    sketch.write("lib/guestproof/testing/model/model.h", f'{HEADER}\n#include "guestproof/virtio/queue/wire.h"\n')
    assert "'testing/model' may not include 'virtio/queue'" in sketch.problems(layering)


def test_a_layer_may_have_headers_of_the_system_for_itself(sketch, lists):
    (lists / "LAYERS").write_text(LAYERS.replace("memory: base\n", "memory: base <regex.h> <gtest/>\n", 1))
    sketch.write("lib/guestproof/memory/memory.h", f"{HEADER}\n#include <regex.h>\n#include <gtest/gtest.h>\n")
    assert sketch.problems(layering) == ""
    sketch.write("lib/guestproof/base/error.h", f"{HEADER}\n#include <regex.h>\n")
    assert "lib/guestproof/base/error.h:4: the library may not depend on <regex.h>" in sketch.problems(layering)


def test_folder_without_layer(sketch):
    sketch.write("lib/guestproof/novel/thing.h", HEADER)
    assert "lib/guestproof/novel/thing.h: the folder lib/guestproof/novel belongs to no layer" in \
        sketch.problems(layering)


@pytest.mark.parametrize("text, problem", [
    ("base: memory\nmemory: base\n", "'base' may, over others, include itself"),
    ("base: nowhere\n", "'base' names the layer 'nowhere'"),
    ("base: !nowhere\n", "'base' names the layer 'nowhere'"),
])
def test_list_of_layers(sketch, lists, text, problem):
    (lists / "LAYERS").write_text(text)
    assert problem in sketch.problems(layering)


def test_list_with_a_line_that_is_none(sketch, lists):
    (lists / "LAYERS").write_text("base:\nbase: memory\n")
    with pytest.raises(Fail, match="LAYERS:2: 'base: memory' is not a new 'name: text'"):
        sketch.problems(layering)


@pytest.mark.parametrize("path, problem", [
    ("tests/base_test.cc", "lib/guestproof/base has no tests"),
    ("tests/memory/memory_test.cc", "lib/guestproof/memory has no tests"),
    ("props/virtio/device/rng_prop.cc", "lib/guestproof/virtio/device/rng has no properties"),
    ("fuzz/virtio/device/rng_fuzz.cc", "the source of the fuzz target rng does not exist"),
    ("corpus/rng/seeds/one-request", "the fuzz target rng has no seeds"),
    ("lib/guestproof/memory/memory.h", "tests/memory: there is no lib/guestproof/memory"),
    ("lib/guestproof/virtio/device/rng/rng.h", "fuzz/virtio/device/rng_fuzz.cc: there is no lib/guestproof/virtio/device/rng"),
    ("lib/guestproof/virtio/device/rng/rng.h", "tests/virtio/device/rng: there is no lib/guestproof/virtio/device/rng"),
])
def test_mirror_with_a_gap(sketch, path, problem):
    sketch.remove(path)
    assert problem in sketch.problems(mirror)


@pytest.mark.parametrize("path, problem", [
    ("lib/guestproof/virtio/queue/queue.h", "lib/guestproof/virtio/queue is the SUBJECT of no fuzz target"),
    ("fuzz/virtio/device/net_fuzz.cc", "declares no target with this source"),
    ("tests/novel/thing_test.cc", "tests/novel: there is no lib/guestproof/novel"),
    ("tests/virtio/thing_kvm.cc", "tests/virtio/thing: there is no lib/guestproof/virtio/thing"),
    ("props/novel/thing_prop.cc", "props/novel: there is no lib/guestproof/novel"),
    ("corpus/net/seeds/x", "corpus/net: there is no fuzz target of this name"),
    ("corpus/rng/crashes/x", "corpus/rng/crashes: a corpus holds"),
    ("corpus/rng/stray", "corpus/rng/stray: a corpus holds"),
])
def test_mirror_with_something_left_over(sketch, path, problem):
    sketch.write(path, "")
    assert problem in sketch.problems(mirror)


def test_mirror_with_a_subject_outside_the_library(sketch):
    sketch.write("fuzz/CMakeLists.txt", "guestproof_fuzz_target(rng virtio/device/rng_fuzz.cc SUBJECT vmm)\n")
    assert "the SUBJECT vmm is not in the library" in sketch.problems(mirror)


def test_mirror_with_an_exception_outside_the_subject(sketch):
    sketch.write("fuzz/CMakeLists.txt", "guestproof_fuzz_target(rng virtio/device/rng_fuzz.cc "
                 "SUBJECT lib/guestproof/virtio/device/rng EXCEPT lib/guestproof/base/error.h)\n")
    assert "EXCEPT lib/guestproof/base/error.h takes nothing out of the SUBJECT" in sketch.problems(mirror)


def test_mirror_exceptions(sketch, lists):
    sketch.remove("tests/base_test.cc")
    (lists / "EXCEPTIONS").write_text("tests/base: because\n")
    assert sketch.problems(mirror) == ""
    (lists / "EXCEPTIONS").write_text("tests/base:\ntests/memory: because\n")
    assert "'tests/base' has no reason" in sketch.problems(mirror)
    assert "'tests/memory' is no longer an exception" in sketch.problems(mirror)


@pytest.mark.parametrize("text, problem", [
    ("#pragma once\n", "a header opens with a comment"),
    ("// Short.\n#pragma once\n", "a header opens with a comment"),
    ("// What this header is for, in a sentence.\n\nint x;\n", "`#pragma once` must come directly after"),
    ("", "a header opens with a comment"),
])
def test_headers(sketch, text, problem):
    sketch.write("lib/guestproof/base/error.h", text)
    assert problem in sketch.problems(headers)


@pytest.mark.parametrize("text, problem", [
    ("a line\nand /ho" "me/someone/src\n", "notes.md:2: '/home/someone' is a path of one machine"),
    ("// TO" "DO: later\n", "notes.md:1: 'TO" "DO' is unfinished business"),
    ("// XX" "X\n", "notes.md:1: 'XX" "X' is unfinished business"),
])
def test_words(sketch, text, problem):
    sketch.write("notes.md", text)
    assert problem in sketch.problems(words)


@pytest.mark.parametrize("path, text, problem", [
    ("scripts/tool.py", "import os\n", "'os' imported but unused"),
    ("scripts/tool.py", "def f(:\n", "invalid syntax"),
    ("scripts/tool", "#!/bin/bash\necho $1\n", "Double quote to prevent globbing"),
    ("scripts/tool", "#!/usr/bin/python3\nimport os\n", "'os' imported but unused"),
])
def test_scripts(sketch, path, text, problem):
    sketch.write(path, text)
    assert problem in sketch.problems(scripting)


def test_tree_leaves_out_what_git_ignores(sketch):
    sketch.write(".gitignore", "/build/\n")
    sketch.write("build/dev/generated.h", "")
    sketch.git("init", "--quiet")
    sketch.commit()
    sketch.write("tests/added_test.cc", "")
    sketch.remove("tests/base_test.cc")
    files = [str(path) for path in Tree(sketch.root).files]
    assert "tests/added_test.cc" in files
    assert "build/dev/generated.h" not in files and "tests/base_test.cc" not in files


def test_tree_knows_what_has_changed(sketch):
    sketch.git("init", "--quiet")
    sketch.commit()
    assert len(Tree(sketch.root).changed()) == 0
    sketch.write("tests/base_test.cc", "int committed;\n")
    sketch.commit()
    sketch.write("tests/memory/memory_test.cc", "int edited;\n")
    sketch.write("tests/added_test.cc", "int added;\n")
    assert [path.name for path in Tree(sketch.root).changed()] == ["added_test.cc", "base_test.cc", "memory_test.cc"]
    assert [path.name for path in Tree(sketch.root).changed("HEAD")] == ["added_test.cc", "memory_test.cc"]
    with pytest.raises(Fail, match="there is no commit 'nowhere'"):
        Tree(sketch.root).changed("nowhere")


def test_command_reports_one_line_per_check_and_fails_if_one_does(copy):
    done = copy.dev("check", "words", "layers")
    assert done.returncode == 0
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["ok", "words"], ["ok", "layers"]]
    copy.write("notes.md", "TO" "DO\n")
    done = copy.dev("check", "words", "layers")
    assert done.returncode == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["failed", "notes.md:1:", "ok"]


def test_command_formats(copy):
    copy.write(".clang-format", "BasedOnStyle: Google\n")
    copy.write("lib/x.cc", "int  x ;\n")
    assert copy.dev("check", "format").returncode == 1
    assert copy.dev("check", "format", "--fix").returncode == 0
    assert (copy.root / "lib/x.cc").read_text() == "int x;\n"


def test_corpora(sketch):
    assert sketch.problems(corpora) == ""
    sketch.write("corpus/rng/found/one", "x")
    assert "corpus/rng/found/one: is not named by its content" in sketch.problems(corpora)
    assert "corpus/rng/found/one: is rng/seeds/one-request once more" in sketch.problems(corpora)
    sketch.write("corpus/block/regressions/large", "x" * (1 << 20))
    assert "corpus/block: 1048577 bytes are too many; the limit is 1048576" in sketch.problems(corpora)


WIRE = "inline constexpr unsigned VIRTIO_RNG_F_FAST = 3;\ninline constexpr unsigned VIRTIO_RNG_F_SLOW = 4;\n"
FEATURES = "# Features\n\n| device | feature | bit | offered | tested by |\n| --- | --- | --- | --- | --- |\n\nMore.\n"


def test_features_are_listed_with_their_tests(sketch):
    sketch.write("lib/guestproof/virtio/device/rng/wire.h", HEADER + WIRE)
    sketch.write("lib/guestproof/virtio/device/rng/rng.h", HEADER + "int offered = VIRTIO_RNG_F_FAST;\n")
    assert "VIRTIO_RNG_F_FAST is offered, and no test names it." in sketch.problems(features)
    sketch.write("tests/rng_test.cc", "int all = VIRTIO_RNG_F_FAST;\nTEST(Rng, Runs) {}\nTEST_F(Rng, Fast) { VIRTIO_RNG_F_FAST; }\n")
    assert "there is no table of features" in sketch.problems(features)
    sketch.write("docs/features.md", FEATURES)
    assert "the table does not say what is so" in sketch.problems(features)
    features.fix(Tree(sketch.root))
    assert sketch.problems(features) == ""
    text = (sketch.root / "docs/features.md").read_text()
    assert "| rng | `VIRTIO_RNG_F_FAST` | 3 | yes | `Rng.Fast`, `tests/rng_test.cc` |\n" in text
    assert "| rng | `VIRTIO_RNG_F_SLOW` | 4 | no |  |\n" in text
    assert text.endswith("|\n\nMore.\n")
