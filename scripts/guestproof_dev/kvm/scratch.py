"""Temporary folders that no kill -9 leaves behind for good: each is locked while it is used, and the next one to be made
removes those that are not."""

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "guestproof-kvm-"
_YOUNG = 60  # seconds; between its making and its locking a folder is nobody's


@contextmanager
def folder():
    _sweep()
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as made:
        lock = _lock(made)
        try:
            yield Path(made)
        finally:
            os.close(lock)


def _sweep() -> None:
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            if time.time() - path.stat().st_mtime > _YOUNG:
                os.close(_lock(path))
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            pass  # in use, somebody else's, or gone


def _lock(path) -> int:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        raise
    return handle
