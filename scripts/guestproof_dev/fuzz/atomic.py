"""Files that are either the old or the new one, whatever is killed when."""

import json
import os
import tempfile
from pathlib import Path

from guestproof_dev.errors import Fail


_TEMPORARY = ".new-"


def write(path: Path, content: bytes, durable: bool = False) -> None:
    """Writes beside the path and renames. A durable file survives a power cut too."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=_TEMPORARY)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            if durable:
                os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.rename(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def clean(folder: Path) -> None:
    """Removes what a kill -9 left of a write."""
    for path in folder.glob(_TEMPORARY + "*"):
        path.unlink()


def write_json(path: Path, value) -> None:
    write(path, (json.dumps(value, indent=1, sort_keys=True) + "\n").encode(), durable=True)


def read_json(path: Path) -> dict:
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise Fail(f"{path}: cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise Fail(f"{path}: is not JSON: {error}.") from error
    if not isinstance(value, dict):
        raise Fail(f"{path}: holds a {type(value).__name__} where an object belongs.")
    return value
