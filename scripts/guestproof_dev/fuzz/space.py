"""Room on the disk: a job stops writing before there is none, and goes on when there is some again."""

import os
from pathlib import Path

from guestproof_dev.errors import Fail

NEEDED = 64 << 20
# Kept back so that the report can be written when everything else is full.
RESERVE = 4 << 20


def free(folder: Path) -> int:
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


class Space:
    def __init__(self, folder: Path):
        self._folder = folder
        self._reserve = folder / ".reserve"
        if free(folder) < NEEDED + RESERVE:
            raise Fail(f"{folder}: only {free(folder) >> 20} MiB are free; a job needs {(NEEDED + RESERVE) >> 20} MiB.")
        with open(self._reserve, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, RESERVE)

    def enough(self) -> bool:
        return free(self._folder) >= NEEDED

    def sentence(self) -> str:
        return f"{self._folder}: the disk is full: {free(self._folder) >> 20} MiB are free, a job needs {NEEDED >> 20} MiB"

    def open_reserve(self) -> None:
        self._reserve.unlink(missing_ok=True)
