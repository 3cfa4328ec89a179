"""Make an input smaller while it keeps its signature.

First whole records are left out, which keeps the text form readable; then libFuzzer shrinks further what it can.
"""

from collections.abc import Callable

RECORD = 32  # bytes, see the scenario format


def without_records(content: bytes, shows: Callable[[bytes], bool]) -> bytes:
    """The smallest input that leaving out runs of records, long ones first, leads to."""
    if len(content) % RECORD and shows(content[:len(content) - len(content) % RECORD]):
        content = content[:len(content) - len(content) % RECORD]
    size = len(content) // RECORD
    while size >= 1:
        start = 0
        while start * RECORD < len(content):
            shorter = content[:start * RECORD] + content[(start + size) * RECORD:]
            if shows(shorter):
                content = shorter
            else:
                start += size
        size //= 2
    return content
