"""The devices that both sides have: how QEMU is told to be like ours, and what happens outside guest memory."""

import array
import fcntl
import os
import socket
import termios
from pathlib import Path

from guestproof_dev.qemu_diff.rings import Place, Rank

_ENTROPY = bytes([0xee]) * 65536
_SECTOR, _DISK_BYTES = 512, 32 * 512
_FRAME_HEADER, _ETHERNET_TYPE = 12, slice(12, 14)
_LOOKS = 5  # of QEMU's main loop at a frame that arrives, unless it waits for another
_LONGEST = 1 << 17
_SO_PEEK_OFF = 42  # of Linux: where MSG_PEEK looks next
_REVERSE_ARP = bytes([0x80, 0x35])
_SLOW = 7  # an event of the block device's harness; those before it are faults


class LeftOut(Exception):
    """The program cannot be repeated; says why."""


class Device:
    """What a device of QEMU's needs beside it."""

    does_without = 0  # features that ours has and a driver need not ask for
    any_order = False  # QEMU's answers requests as they end

    def files(self) -> tuple[int, ...]:
        """Open files that the options name."""
        return ()

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

    def host_event(self, machine, kind: int, value: int, served: bool) -> None:
        """Errors: LeftOut."""

    def arrives(self, machine, frame: bytes) -> None:
        """Header first. Errors: LeftOut."""

    def sends(self, frame: bytes) -> None:
        """Our device has done that, header first."""

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

    def host_event(self, _machine, kind: int, value: int, served: bool) -> None:
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

    def host_event(self, _machine, kind: int, value: int, _served: bool) -> None:
        if kind == _SLOW and value & 1:
            raise LeftOut("QEMU's disk cannot be told when to answer")
        if kind != _SLOW and kind not in self._HARMLESS:
            raise LeftOut("QEMU's disk does not fail")


def _first(disk: bytes, at: int) -> int:
    return int.from_bytes(disk[at:at + 8], "little")


class Net(Device):
    """QEMU's network is a socket, which carries frames without headers: what is in the header cannot be seen, and neither
    device offers to leave checksums or segments to the other side."""

    name = "net"
    corpora = ("net",)
    _BUSY, _READY, _FAILS, _LINK = 3, 4, 5, 6  # events of the device's harness; those before them are frames that arrive

    def __init__(self, _folder: Path):
        self._end, self._theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._end.setblocking(False)
        self._frames = ([], [])  # that were sent, ours and theirs
        self._touched = False
        self._plugs = 0  # frames of nobody's that keep the network from taking more
        self._seen = 0  # behind those

    def options(self) -> list[str]:
        return ["-netdev", f"dgram,id=network,local.type=fd,local.str={self._theirs.fileno()}",
                "-device", "virtio-net-device,netdev=network,packed=on,mac=02:00:00:00:00:01,host_mtu=1500,duplex=full"]

    def files(self) -> tuple[int, ...]:
        return (self._theirs.fileno(),)

    def close(self) -> None:
        self._end.close()
        self._theirs.close()

    def start(self) -> None:
        self._look()
        self.adopt()

    def differences(self) -> list[tuple[Place, int, int]]:
        self._look()
        found = _unlike_frames(*self._frames)
        return [(Place(Rank.DATA, found[0]), *found[1:])] if found else []

    def adopt(self) -> None:
        self._frames = ([], [])

    def host_event(self, machine, kind: int, value: int, _served: bool) -> None:
        self._touched = True
        if kind == self._BUSY and value > 1:
            raise LeftOut("QEMU's network cannot be told how many frames to take")
        if kind == self._BUSY:
            self._plug(value)
        if kind == self._READY:
            self._unplug()
        if kind == self._FAILS and value & 1:
            raise LeftOut("QEMU's network does not fail")
        if kind == self._LINK:
            machine.set_link("network", bool(value & 1))
            if value & 2:
                machine.announce()

    def arrives(self, machine, frame: bytes) -> None:
        if any(frame[:_FRAME_HEADER]):
            raise LeftOut("QEMU's network has no headers")
        if len(frame) <= _FRAME_HEADER:
            raise LeftOut("there is no frame to arrive at QEMU's network")
        self._end.send(frame[_FRAME_HEADER:])
        for _ in range(_LOOKS):
            if not self._under_way():
                break
            machine.read(0)

    def sends(self, frame: bytes) -> None:
        self._frames[0].append(frame[_FRAME_HEADER:])

    def reusable(self) -> bool:
        return not self._touched

    def _look(self) -> None:
        """At what QEMU has sent for the driver, and not for itself when it is told to announce where its devices are."""
        try:
            while True:
                frame = self._end.recv(_LONGEST, socket.MSG_PEEK if self._plugs else 0)
                self._seen += 1
                if frame[_ETHERNET_TYPE] != _REVERSE_ARP:
                    self._frames[1].append(frame)
        except BlockingIOError:
            pass  # that was all

    def _plug(self, room: int) -> None:
        """From now on QEMU can send so many frames, none or one, and then no more."""
        self._unplug()
        try:
            while True:
                self._theirs.send(b"?", socket.MSG_DONTWAIT)
                self._plugs += 1
        except BlockingIOError:
            pass  # it is full
        for _ in range(room):
            self._end.recv(1)
            self._plugs -= 1
        self._end.setsockopt(socket.SOL_SOCKET, _SO_PEEK_OFF, self._plugs)

    def _unplug(self) -> None:
        """QEMU sends what has waited."""
        self._look()
        if self._plugs:
            for _ in range(self._plugs + self._seen):
                self._end.recv(_LONGEST)
        self._plugs = self._seen = 0

    def _under_way(self) -> int:
        """How much QEMU has not taken yet of what arrives there."""
        left = array.array("i", [0])
        fcntl.ioctl(self._end, termios.TIOCOUTQ, left)
        return left[0]


class NetControl(Net):
    """One pair of queues here, too: only on a tap has QEMU several."""

    name = "net_ctrl"
    corpora = ("net_ctrl",)


def _unlike_frames(ours: list[bytes], theirs: list[bytes]) -> tuple[str, int, int] | None:
    """What the two have sent."""
    if len(ours) != len(theirs):
        return "how many frames were sent", len(ours), len(theirs)
    for a, b in zip(ours, theirs):
        if len(a) != len(b):
            return "the length of a frame that was sent", len(a), len(b)
        for at in range(len(a)):
            if a[at] != b[at]:
                return f"byte {at} of a frame that was sent", a[at], b[at]
    return None


ALL = {device.name: device for device in (Rng, Block, Net, NetControl)}
