"""A QEMU with one virtio device on virtio-mmio, spoken to by the qtest protocol; its processor is halted."""

import base64
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

MEMORY = 16 << 20
PATIENCE = 60  # seconds for an answer, on the busiest machine; QEMU takes microseconds
_WORK = 2  # seconds of a processor's time for an answer; seconds to come to an end in
_WIDTHS = {1: "b", 2: "w", 4: "l", 8: "q"}
_TRANSPORTS = range(0xfeb00000, 0xfeb03000, 0x200)  # of the machine `microvm`
_FIRMWARE = bytes([0xf4]) * 0xfff0 + bytes([0xfa]) + bytes([0xf4]) * 15  # at the reset vector: cli; hlt


class Gone(Exception):
    """QEMU has ended, or does not answer; says how."""


class Machine:
    def __init__(self, folder: Path, devices: list[str], files: tuple[int, ...] = ()):
        """`devices`: options for QEMU, of which one makes a virtio device; `files` are open files that they name.
        `folder` is this machine's own."""
        self._folder = folder
        self._inbox = b""
        firmware, complaints = folder / "halt.bin", folder / "stderr"
        firmware.write_bytes(_FIRMWARE)
        self._monitor = None
        self._monitor_path = folder / "qmp"
        self._monitor_path.unlink(missing_ok=True)
        words = ["qemu-system-x86_64", "-machine", "microvm,x-option-roms=off,pit=off,pic=off,rtc=off,isa-serial=off",
                 "-accel", "tcg", "-m", str(MEMORY >> 20), "-bios", str(firmware), "-nodefaults", "-display", "none",
                 "-qtest", "stdio", "-qtest-log", "none", "-qmp", f"unix:{self._monitor_path},server=on,wait=off",
                 # Kicks are served at once, not by an event that comes later.
                 "-global", "virtio-mmio.force-legacy=false", "-global", "virtio-mmio.ioeventfd=off", *devices]
        with open(complaints, "wb") as stderr:
            self._child = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                                           pass_fds=files)
        try:
            self._base = next(base for base in _TRANSPORTS if self._number(f"readl {base + 8:#x}") != 0)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self) -> None:
        if self._monitor:
            self._monitor.close()
            self._monitor = None
        self._child.kill()
        self._child.wait()
        with contextlib.suppress(BrokenPipeError):  # of a command that QEMU has not lived to read
            self._child.stdin.close()
        self._child.stdout.close()

    def read(self, offset: int, width: int = 4) -> int:
        """A register of the device."""
        return self._number(f"read{_WIDTHS[width]} {self._base + offset:#x}") & ((1 << 8 * width) - 1)

    def write(self, offset: int, width: int, value: int) -> None:
        self._ask(f"write{_WIDTHS[width]} {self._base + offset:#x} {value:#x}")

    def read_memory(self, address: int, length: int) -> bytes:
        return base64.b64decode(self._ask(f"b64read {address:#x} {length:#x}"))

    def write_memory(self, address: int, content: bytes) -> None:
        self._ask(f"b64write {address:#x} {len(content):#x} {base64.b64encode(content).decode()}")

    def clear_memory(self, length: int) -> None:
        self._ask(f"memset 0x0 {length:#x} 0x0")

    def drain(self) -> None:
        """Returns when no disk has anything in flight."""
        self._execute("human-monitor-command", {"command-line": 'qemu-io disk "aio_flush"'})

    def set_link(self, network: str, up: bool) -> None:
        self._execute("set_link", {"name": network, "up": up})

    def announce(self) -> None:
        """All network devices say where they are, or ask their driver to."""
        self._execute("announce-self", {"initial": 1, "max": 1, "rounds": 1, "step": 1})

    def _execute(self, command: str, arguments: dict) -> None:
        if not self._monitor:
            self._monitor = socket.socket(socket.AF_UNIX)
            self._monitor.settimeout(PATIENCE)
            self._monitor.connect(str(self._monitor_path))
            self._monitor_lines = self._monitor.makefile("rb")
            self._monitor_lines.readline()  # the greeting
            self._execute("qmp_capabilities", {})
        try:
            self._monitor.sendall(json.dumps({"execute": command, "arguments": arguments}).encode() + b"\n")
            while b'"return"' not in (line := self._monitor_lines.readline()):
                if not line or b'"error"' in line:
                    raise self._gone(line.decode().strip() or "the monitor is closed")
        except OSError as error:
            raise self._gone(f"the monitor does not answer: {error}") from None

    def _number(self, words: str) -> int:
        return int(self._ask(words), 16)

    def _ask(self, words: str) -> str:
        """What comes after OK."""
        try:
            self._child.stdin.write(words.encode() + b"\n")
            self._child.stdin.flush()
        except OSError:
            raise self._gone("takes no more commands") from None
        status, _, rest = self._line().partition(" ")
        if status != "OK":
            raise self._gone(f"answers {status} {rest} to {words[:60]}")
        return rest

    def _line(self) -> str:
        deadline, worked = time.monotonic() + PATIENCE, self._work()
        output = self._child.stdout.fileno()
        while b"\n" not in self._inbox:
            if not select.select([output], [], [], 0.2)[0]:
                if self._work() - worked > _WORK:
                    raise Gone("spins")
                if time.monotonic() > deadline:
                    raise self._gone(f"has not answered for {PATIENCE} s")
                continue
            piece = os.read(output, 1 << 20)
            if not piece:
                raise self._gone("says no more")
            self._inbox += piece
        line, _, self._inbox = self._inbox.partition(b"\n")
        return line.decode()

    def _work(self) -> float:
        """Seconds of processors' time that QEMU has used."""
        fields = Path(f"/proc/{self._child.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _gone(self, how: str) -> Gone:
        try:
            code = self._child.wait(_WORK)
        except subprocess.TimeoutExpired:
            return Gone(how)
        return Gone(f"ends with {signal.Signals(-code).name}" if code < 0 else f"ends with exit code {code}")
