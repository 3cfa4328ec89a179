"""The devices that both sides have: how QEMU is told to be like ours, and what happens outside guest memory."""

import os
from pathlib import Path

from guestproof_dev.qemu_diff.rings import Place, Rank

_ENTROPY = bytes([0xee]) * 65536
_SECTOR, _DISK_BYTES = 512, 32 * 512
_SLOW = 7  # an event of the block device's harness; those before it are faults


class LeftOut(Exception):
    """The program cannot be repeated; says why."""


class Device:
    """What a device of QEMU's needs beside it."""

    does_without = 0  # features that ours has and a driver need not ask for
    any_order = False  # QEMU's answers requests as they end

    def start(self) -> None:
        """A program begins."""

    def keep_ready(self) -> None:
        """Before the device is given time to work."""

    def finish(self, machine) -> None:
        """Waits for what the device has begun, where there is a way to."""

    def behind(self, offset: int, content: bytes) -> None:
        """So it is behind both devices when the program begins."""

    def change_behind(self, offset: int, content: bytes) -> None:
        """Our device has done that."""

    def differences(self) -> list[tuple[Place, int, int]]:
        """Behind the devices, with our value and theirs."""
        return []

    def adopt(self) -> None:
        """Makes what is behind QEMU's device the same."""

    def host_event(self, kind: int, value: int, served: bool) -> None:
        """Errors: LeftOut."""

    def reusable(self) -> bool:
        """Nothing is left of the last program."""
        return True


class Rng(Device):
    """Both sources give the same byte over and over. QEMU's is a FIFO with as many bytes in it as it may give."""

    name = "rng"
    corpora = ("rng", "mmio", "queue", "queue_packed")

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


class Block(Device):
    """QEMU's disk is a file in our memory, where holes can be punched whatever the file systems are."""

    name = "block_device"
    corpora = ("block_device", "block")
    any_order = True
    does_without = 1 << 1 | 1 << 16  # VIRTIO_BLK_F_SIZE_MAX, VIRTIO_BLK_F_SECURE_ERASE
    _HARMLESS = (0, 4)  # faults: none; short transfers, which no guest can see

    def __init__(self, _folder: Path):
        self._ours = bytearray(_DISK_BYTES)
        self._file = os.memfd_create("guestproof-disk")
        os.truncate(self._file, _DISK_BYTES)

    def options(self) -> list[str]:
        return ["-drive", f"if=none,id=disk,format=raw,file=/proc/{os.getpid()}/fd/{self._file},file.locking=off,discard=unmap",
                "-device", "virtio-blk-device,drive=disk,packed=on,num-queues=2,queue-size=64,serial=two queues,"
                "max-discard-sectors=16,max-write-zeroes-sectors=12,discard_granularity=1024,cyls=2,heads=4,secs=4"]

    def close(self) -> None:
        os.close(self._file)

    def finish(self, machine) -> None:
        machine.drain()

    def behind(self, offset: int, content: bytes) -> None:
        self.change_behind(offset, content)
        self.adopt()

    def change_behind(self, offset: int, content: bytes) -> None:
        self._ours[offset:offset + len(content)] = content

    def differences(self) -> list[tuple[Place, int, int]]:
        theirs = os.pread(self._file, _DISK_BYTES, 0)
        differing = [at for at in range(0, _DISK_BYTES, _SECTOR) if theirs[at:at + _SECTOR] != self._ours[at:at + _SECTOR]]
        return [(Place(Rank.DATA, f"sector {at // _SECTOR} of the disk"), _first(self._ours, at), _first(theirs, at))
                for at in differing[:1]]

    def adopt(self) -> None:
        os.pwrite(self._file, self._ours, 0)

    def host_event(self, kind: int, value: int, _served: bool) -> None:
        if kind == _SLOW and value & 1:
            raise LeftOut("QEMU's disk cannot be told when to answer")
        if kind != _SLOW and kind not in self._HARMLESS:
            raise LeftOut("QEMU's disk does not fail")


def _first(disk: bytes, at: int) -> int:
    return int.from_bytes(disk[at:at + 8], "little")


ALL = {device.name: device for device in (Rng, Block)}
