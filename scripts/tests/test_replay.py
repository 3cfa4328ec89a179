"""Replaying a corpus with a sanitizer build: what is run, what fails, and what is only skipped."""

import subprocess
from pathlib import Path

import pytest

REPLAY = Path(__file__).resolve().parents[1] / "replay"


@pytest.fixture
def replay(tmp_path):
    program, corpus = tmp_path / "program", tmp_path / "corpus"
    (corpus / "seeds").mkdir(parents=True)
    # Stands for a libFuzzer program: an input that holds `crash` ends it with libFuzzer's exit code, 77.
    program.write_text('#!/bin/bash\nfor input in "${@:2}"; do echo "$input"; ! grep -q crash "$input" || exit 77; done\n')
    program.chmod(0o755)

    def run(inputs):
        for name, text in inputs.items():
            (corpus / name).write_text(text)
        return subprocess.run([REPLAY, program, corpus], capture_output=True, text=True)

    run.program = program
    return run


def test_runs_every_input(replay):
    done = replay({"seeds/a": "x", "seeds/b c": "x", "-d": "x"})
    assert done.returncode == 0
    assert done.stdout.count("/corpus/") == 3 and "replay: 3 inputs.\n" in done.stdout


def test_a_crash_fails_and_is_not_taken_for_a_skip(replay):
    assert replay({"seeds/a": "x", "seeds/b": "crash"}).returncode not in (0, 125)


def test_an_empty_corpus_fails(replay):
    done = replay({})
    assert done.returncode == 1
    assert "holds no input" in done.stdout


def test_a_program_that_is_not_built_is_skipped(replay):
    replay.program.unlink()
    assert replay({"seeds/a": "x"}).returncode == 125
