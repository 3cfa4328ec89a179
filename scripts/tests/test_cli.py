"""The front door: where it may be called from, and what it says to mistakes."""

import os
import signal
import subprocess

import pytest


def test_overview_names_the_commands(copy):
    for words in ([], ["--help"], ["help"]):
        done = copy.dev(*words)
        assert done.returncode == 0
        for name in ("build", "test", "check", "bench", "setup"):
            assert f"\n  {name:<8} " in done.stdout


def test_works_from_anywhere(copy, tmp_path):
    """From a folder whose files have the names of Python's modules, through a link, without HOME, beside another Python."""
    elsewhere = tmp_path / "else where"
    elsewhere.mkdir()
    for name in ("argparse.py", "guestproof_dev.py", "rich.py"):
        (elsewhere / name).write_text("raise SystemExit('the wrong module')\n")
    copy.program("python3", "echo the wrong Python; exit 1")
    copy.environment.pop("HOME", None)
    copy.environment.update(PYTHONHOME="/nonexistent", PYTHONPATH=str(elsewhere))
    (elsewhere / "link").symlink_to(copy.root / "scripts" / "dev")
    done = subprocess.run(["./link", "setup", "--check"], cwd=elsewhere, capture_output=True, text=True,
                          env=copy.environment)
    assert (done.returncode, done.stdout, done.stderr) == (0, "dev: every package is there.\n", "")


@pytest.mark.parametrize("words, sentence", [
    (["biuld"], "there is no command 'biuld'; the commands are: "),
    (["../cli"], "there is no command '../cli'; the commands are: "),
    (["build", "deb"], "there is no preset 'deb'; the presets are: dev, other."),
    (["build", "--fast"], "unrecognized arguments: --fast (see scripts/dev build --help)."),
    (["setup", "nonsense"], "there is no package group 'nonsense'; the groups are: build, "),
    (["check", "nonsense"], "there is no check 'nonsense'; the checks are: format, "),
    (["check", "--tidy", "some"], "argument --tidy: invalid choice: 'some' (choose from "),
])
def test_mistakes_get_one_sentence(copy, words, sentence):
    copy.write("CMakePresets.json", '{"configurePresets": [{"name": "base", "hidden": true}, {"name": "dev"}, {"name": "other"}]}')
    done = copy.dev(*words)
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(f"dev: {sentence}")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("presets", ["", "{", "[]", '{"configurePresets": 7}', '{"configurePresets": [7]}'])
def test_broken_presets_get_one_sentence(copy, presets):
    copy.write("CMakePresets.json", presets)
    done = copy.dev("build")
    assert done.returncode == 1
    assert "CMakePresets.json: cannot read the presets: " in done.stderr
    assert done.stderr.count("\n") == 1


def test_unwritable_tree_gets_one_sentence(copy):
    copy.write("CMakePresets.json", '{"configurePresets": [{"name": "dev"}]}')
    copy.write("build", "a file where a folder should be")
    done = copy.dev("build")
    assert done.returncode == 1
    assert done.stderr == f"dev: {copy.root}/build: File exists.\n"


def test_a_command_that_does_not_load_breaks_no_other(copy):
    copy.write("scripts/guestproof_dev/fuzz/__init__.py", '"""Fuzz."""\nimport nowhere\n')
    copy.write("scripts/guestproof_dev/repro.py", "def broken(:\n")
    assert "\n  fuzz     Fuzz.\n" in copy.dev().stdout
    assert copy.dev("setup", "--check").returncode == 0


def test_a_reader_that_goes_away_is_no_error(copy):
    done = subprocess.run(f"{copy.root}/scripts/dev --help | head -c 1", shell=True, capture_output=True,
                          env=copy.environment)
    assert done.stderr == b""


@pytest.mark.parametrize("redirection, code", [(">&-", 0), ("<&-", 0), ("2>&-", 0), (">/dev/full", 1)])
def test_streams_that_are_closed_or_full(copy, redirection, code):
    for words in ("setup --check", "--help", "setup --help"):
        done = subprocess.run(f"{copy.root}/scripts/dev {words} {redirection}", shell=True, capture_output=True,
                              text=True, env=copy.environment)
        assert done.returncode == code
        assert done.stderr == ("dev: No space left on device.\n" if code else "")


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_interruption_ends_the_children(copy, tmp_path, number, code):
    copy.write("CMakePresets.json", '{"configurePresets": [{"name": "dev"}]}')
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    # The child holds the pipe open until it ends.
    copy.program("cmake", f'exec 3>"{pipe}"; echo started >&3; exec sleep 1000')
    dev = subprocess.Popen([copy.root / "scripts" / "dev", "build"], env=copy.environment, stderr=subprocess.PIPE)
    with open(pipe) as reader:
        assert reader.readline() == "started\n"
        dev.send_signal(number)
        assert reader.read() == ""
    assert dev.communicate(timeout=100)[1] == b""
    assert dev.returncode == code
