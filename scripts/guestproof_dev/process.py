"""Child processes that end when we do."""

import os
import signal
import subprocess
from contextlib import contextmanager


def run(command, **options) -> int:
    """Runs the command with our stdin, stdout and stderr; returns its exit code."""
    with start(command, **options) as child:
        return child.wait()


@contextmanager
def start(command, **options):
    """The child, for as long as the block lasts; when that is left by an exception (we were interrupted, say), the child
    and its own children are ended, and the child waited for, before the exception goes on. They are a session of their
    own: CMake, for one, ends only when what it runs has ended."""
    interruptions = _Postponed()
    try:
        child = subprocess.Popen([str(word) for word in command], start_new_session=True, **options)
    except BaseException:
        interruptions.let_through()
        raise
    with child:
        try:
            interruptions.let_through()
            yield child
        except BaseException:
            _end_group(child)
            child.wait()
            raise


def _end_group(child: subprocess.Popen) -> None:
    try:
        os.killpg(child.pid, signal.SIGTERM)
    except ProcessLookupError:
        pass


class _Postponed:
    """Signals that interrupt us are noted until let_through(): one in the midst of Popen() would leave a child that nobody
    knows. The child itself starts with the default handlers."""

    def __init__(self):
        self._noted = []
        self._handlers = {number: signal.signal(number, lambda got, _frame: self._noted.append(got))
                          for number in (signal.SIGINT, signal.SIGTERM)}

    def let_through(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for number in self._noted:
            os.kill(os.getpid(), number)
