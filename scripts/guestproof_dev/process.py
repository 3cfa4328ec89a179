"""Child processes that end when we do."""

import subprocess


def run(command, **options) -> int:
    """Runs the command with our stdin, stdout and stderr; returns its exit code."""
    with start(command, **options) as child:
        return finish(child)


def start(command, **options) -> subprocess.Popen:
    return subprocess.Popen([str(word) for word in command], **options)


def finish(child: subprocess.Popen, work=subprocess.Popen.wait):
    """Waits. When we are interrupted, the child is ended, and waited for, before the interruption goes on."""
    try:
        return work(child)
    except BaseException:
        child.terminate()
        child.wait()
        raise
