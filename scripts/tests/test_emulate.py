"""Running a program of another architecture: what it says counts, and one that is not built is only skipped."""

import os
import subprocess
from pathlib import Path

import pytest

EMULATE = Path(__file__).resolve().parents[1] / "emulate"


@pytest.fixture
def emulate(tmp_path):
    emulator = tmp_path / "qemu-toy-static"
    emulator.write_text("#!/bin/bash\necho emulated \"$@\"\nexit 3\n")
    emulator.chmod(0o755)
    return lambda *words: subprocess.run([EMULATE, "toy", *words], capture_output=True, text=True,
                                         env={"PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"})


def test_runs_the_program_with_its_arguments(emulate):
    done = emulate("/bin/true", "a b", "c")
    assert (done.returncode, done.stdout) == (3, "emulated /bin/true a b c\n")


def test_a_program_that_is_not_built_is_skipped(emulate, tmp_path):
    done = emulate(tmp_path / "missing")
    assert done.returncode == 125
    assert done.stdout == f"emulate: {tmp_path}/missing is not built; 'scripts/dev test' builds it.\n"
