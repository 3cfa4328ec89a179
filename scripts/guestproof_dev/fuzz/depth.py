"""The counters by which a target shows how deep it came: requests served, operations done, errors answered.

A fuzz binary keeps them in the file that GUESTPROOF_DEPTH_FILE names: 64-byte records, 56 bytes of zero-padded ASCII
name and a little-endian 64-bit count; an empty name ends the list.
"""

import struct
from collections import Counter
from pathlib import Path

VARIABLE = "GUESTPROOF_DEPTH_FILE"
_RECORD = struct.Struct("<56sQ")


def read(path: Path) -> Counter:
    """The counters in the file, those at 0 included. A file that was cut short gives what is there."""
    try:
        content = path.read_bytes()
    except OSError:
        return Counter()
    counters: Counter = Counter()
    for name, count in _RECORD.iter_unpack(content[:len(content) - len(content) % _RECORD.size]):
        text = name.rstrip(b"\0").decode("ascii", errors="replace")
        if not text:
            break
        counters[text] += count
    return counters


def total(paths) -> dict[str, int]:
    """The sum over several workers' files, in the order of the names."""
    counters: Counter = Counter()
    for path in paths:
        counters.update(read(path))
    return dict(sorted(counters.items()))
