"""Child processes that end when we do."""

import os
import signal
import subprocess
from contextlib import contextmanager, suppress

# What ends a command. A terminal that closes reaches us alone: the children have sessions of their own.
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
            signal_group(child, signal.SIGTERM)
            child.wait()
            raise


def signal_group(child: subprocess.Popen, number: signal.Signals) -> None:
    """To the child and what is left of its own children. It was started in a session of its own."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)


class _Postponed:
    """Signals that interrupt us are noted until let_through(): one in the midst of Popen() would leave a child that nobody
    knows. The child itself starts with the default handlers."""

    def __init__(self):
        self._noted = []
        self._handlers = {number: signal.signal(number, lambda got, _frame: self._noted.append(got))
                          for number in _ENDINGS if signal.getsignal(number) is not signal.SIG_IGN}

    def let_through(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for number in self._noted:
            os.kill(os.getpid(), number)
