"""What nested machines and guests start from: an archive as Linux unpacks it (Documentation/driver-api/early-userspace/buffer-format.rst)."""

import shlex
from pathlib import Path

from guestproof_dev.kvm.kernels import Kernel

_INIT = Path(__file__).with_name("init.sh")
_SHELL = Path(__file__).with_name("shell.sh")
_FOLDER, _PROGRAM, _FILE = 0o040755, 0o100755, 0o100644


def make(kernel: Kernel, command: list[str], environment: dict[str, str], folder: Path, out: Path, limit: int) -> bytes:
    """The machine runs the command in that folder, and ends it after `limit` seconds; `out` is what it brings out."""
    variables = [f"{name}={value}" for name, value in environment.items()]
    # env itself would take a command with a = in its path for one more variable; setpriv just executes it.
    words = ["/.with-kvm/busybox", "env", "-i", *variables, "/.with-kvm/busybox", "setpriv", "--", *command]
    script = f"cd {shlex.quote(str(folder))} && exec {shlex.join(words)}\n"
    entries = [("dev", _FOLDER, b""), *_modules(kernel),
               ("busybox", _PROGRAM, kernel.busybox.read_bytes()), ("init", _PROGRAM, _INIT.read_bytes()),
               ("command", _FILE, script.encode(errors="surrogateescape")),
               ("settings", _FILE, f"out={shlex.quote(str(out))}\nlimit={limit}\n".encode(errors="surrogateescape"))]
    return _archive(entries)


def with_shell(kernel: Kernel) -> bytes:
    """A guest whose first process is a shell on its console."""
    return _archive([*((name, _FOLDER, b"") for name in ("bin", "dev", "proc", "sys")), *_modules(kernel),
                     ("bin/busybox", _PROGRAM, kernel.busybox.read_bytes()), ("init", _PROGRAM, _SHELL.read_bytes())])


def _modules(kernel: Kernel) -> list[tuple[str, int, bytes]]:
    return [("modules", _FOLDER, b""),
            *((f"modules/{module.name}", _FILE, module.read_bytes()) for module in kernel.modules)]


def _archive(entries: list[tuple[str, int, bytes]]) -> bytes:
    return b"".join(_entry(number, *entry) for number, entry in enumerate([*entries, ("TRAILER!!!", 0, b"")], 1))


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    """A header of ASCII (inode, mode, owners, links, time, size, devices, length of the name), the name, the content."""
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    return _padded(b"070701" + b"".join(b"%08x" % field for field in fields) + path) + _padded(content)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)
