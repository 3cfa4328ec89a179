"""What a nested machine starts from: an archive as Linux unpacks it (Documentation/driver-api/early-userspace/buffer-format.rst)."""

import shlex
from pathlib import Path

from guestproof_dev.kvm.kernels import Kernel

_INIT = Path(__file__).with_name("init.sh")
_FOLDER, _PROGRAM, _FILE = 0o040755, 0o100755, 0o100644


def make(kernel: Kernel, command: list[str], environment: dict[str, str], folder: Path, out: Path, limit: int) -> bytes:
    """The machine runs the command in that folder, and ends it after `limit` seconds; `out` is what it brings out."""
    variables = [f"{name}={value}" for name, value in environment.items()]
    # env itself would take a command with a = in its path for one more variable; setpriv just executes it.
    words = ["/.with-kvm/busybox", "env", "-i", *variables, "/.with-kvm/busybox", "setpriv", "--", *command]
    script = f"cd {shlex.quote(str(folder))} && exec {shlex.join(words)}\n"
    entries = [("dev", _FOLDER, b""), ("modules", _FOLDER, b""),
               *((f"modules/{module.name}", _FILE, module.read_bytes()) for module in kernel.modules),
               ("busybox", _PROGRAM, kernel.busybox.read_bytes()), ("init", _PROGRAM, _INIT.read_bytes()),
               ("command", _FILE, script.encode(errors="surrogateescape")),
               ("settings", _FILE, f"out={shlex.quote(str(out))}\nlimit={limit}\n".encode(errors="surrogateescape")),
               ("TRAILER!!!", 0, b"")]
    return b"".join(_entry(number, *entry) for number, entry in enumerate(entries, 1))


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    """A header of ASCII (inode, mode, owners, links, time, size, devices, length of the name), the name, the content."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    return _padded(b"070701" + b"".join(b"%08x" % field for field in fields) + path) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
