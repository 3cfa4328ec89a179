"""Lengths of time as people write them: 90s, 15m, 6h, 1d."""

import re

from guestproof_dev.errors import Fail

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = 30 * _UNITS["d"]


def parse(text: str) -> int:
    match = re.fullmatch(r"(\d{1,4000})([smhd])", text)
    if not match:
        raise Fail(f"'{text}' is not a time; write a number and s, m, h or d, as in 90s, 15m or 1d.")
    seconds = int(match[1]) * _UNITS[match[2]]
    if not 1 <= seconds <= LONGEST:
        raise Fail(f"'{text}' is out of bounds; a time may be from 1s to {LONGEST // _UNITS['d']}d.")
    return seconds


def show(seconds: float) -> str:
    """At most two units: 2d 03h, 1h 05m, 14m 30s, 9s."""
    left = max(0, round(seconds))
    for big, small in (("d", "h"), ("h", "m"), ("m", "s")):
        if left >= _UNITS[big]:
            return f"{left // _UNITS[big]}{big} {left % _UNITS[big] // _UNITS[small]:02}{small}"
    return f"{left}s"
