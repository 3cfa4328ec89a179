"""The devices that both sides have: how QEMU is told to be like ours, and what happens outside guest memory."""

import os
from pathlib import Path

_ENTROPY = bytes([0xee]) * 65536


class LeftOut(Exception):
    """The program cannot be repeated; says why."""


class Rng:
    """Both sources give the same byte over and over. QEMU's is a FIFO with as many bytes in it as it may give."""

    name = "rng"
    corpora = ("rng", "mmio", "queue", "queue_packed")
    does_without = 0

    def __init__(self, folder: Path):
        self._fifo = folder / "entropy"
        os.mkfifo(self._fifo)
        self._end = os.open(self._fifo, os.O_RDWR | os.O_NONBLOCK)
        self._scripted = False

    def options(self) -> list[str]:
        return ["-object", f"rng-random,id=entropy,filename={self._fifo}",
                "-device", "virtio-rng-device,rng=entropy,packed=on"]

    def close(self) -> None:
        os.close(self._end)

    def start(self) -> None:
        self._scripted = False

    def keep_ready(self) -> None:
        """Before the device is given time to work."""
        if not self._scripted:
            self._give(_ENTROPY)

    def host_event(self, kind: int, value: int, served: bool) -> None:
        if kind == 1:
            raise LeftOut("QEMU's source of entropy cannot fail")
        if served:
            raise LeftOut("our device keeps bytes of a source that has run dry since")
        self._scripted = kind == 0
        if self._scripted:
            self._take()
            self._give(_ENTROPY[:value % 1024])

    def reusable(self) -> bool:
        """Nothing is left of the last program."""
        return not self._scripted

    def _give(self, content: bytes) -> None:
        try:
            os.write(self._end, content)
        except BlockingIOError:
            pass  # it is full

    def _take(self) -> None:
        try:
            while os.read(self._end, len(_ENTROPY)):
                pass
        except BlockingIOError:
            pass  # it is empty


ALL = {device.name: device for device in (Rng,)}
