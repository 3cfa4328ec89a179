"""The short lists beside the checks: one `name: text` per line, `#` for comments."""

from pathlib import Path

from guestproof_dev.errors import Fail


def read(path: Path) -> dict[str, str]:
    entries: dict[str, str] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        name, colon, text = line.partition(":")
        if not colon or name.strip() in entries:
            raise Fail(f"{path}:{number}: '{line.strip()}' is not a new 'name: text'.")
        entries[name.strip()] = text.strip()
    return entries
