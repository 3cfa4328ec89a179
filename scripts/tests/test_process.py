"""Children end when we do, whenever we are interrupted."""

import os
import select
import signal
import subprocess

import pytest

from guestproof_dev import process

SLEEP = ["sleep", "1000"]


@pytest.fixture
def children(monkeypatch):
    """All that are started; the test says what happens in the midst of starting one."""
    class Noted(subprocess.Popen):
        started = []
        meanwhile = staticmethod(lambda: None)

        def __init__(self, *words, **options):
            super().__init__(*words, **options)
            self.started.append(self)
            self.meanwhile()

    monkeypatch.setattr(subprocess, "Popen", Noted)
    return Noted


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interruption_while_the_child_starts(children):
    children.meanwhile = staticmethod(interrupt)
    with pytest.raises(KeyboardInterrupt):
        process.run(SLEEP)
    assert [child.returncode for child in children.started] == [-signal.SIGTERM]


def test_an_interruption_of_the_block(children):
    with pytest.raises(KeyboardInterrupt), process.start(SLEEP):
        interrupt()
    assert [child.returncode for child in children.started] == [-signal.SIGTERM]


def test_children_of_the_child_end_too():
    reader, writer = os.pipe()
    with pytest.raises(KeyboardInterrupt), \
            process.start(["sh", "-c", f"(echo >/dev/fd/{writer}; exec sleep 1000) & wait"], pass_fds=[writer]):
        os.close(writer)
        assert os.read(reader, 1) == b"\n"
        interrupt()
    assert select.select([reader], [], [], 10)[0]
    os.close(reader)


def test_the_child_itself_can_be_interrupted():
    assert process.run(["sh", "-c", "kill -INT $$"]) == -signal.SIGINT


def test_what_cannot_be_started_leaves_the_handlers():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with pytest.raises(FileNotFoundError):
        process.run(["/nowhere/at-all"])
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
