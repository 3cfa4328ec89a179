"""Repeats a program on QEMU, and says where the two first differ."""

import time
from dataclasses import dataclass

from guestproof_dev.qemu_diff.devices import LeftOut
from guestproof_dev.qemu_diff.machine import Gone, Machine
from guestproof_dev.qemu_diff.rings import Place, Rank, Rings
from guestproof_dev.qemu_diff.trace import Trace

_WINDOW = 0x21000  # what a program can reach of both memories
_PAGE = 256  # where one differs somewhere, it is looked at byte by byte
_TURNS = 40  # of QEMU's main loop, for what it has begun to end
_PAUSE = 0.0005  # seconds between them
_DEVICE_FEATURES, _DEVICE_FEATURES_SEL, _DRIVER_FEATURES = 0x10, 0x14, 0x20
_STATUS, _INTERRUPT_STATUS, _GENERATION = 0x70, 0x60, 0xfc
_REGISTERS = {0x00: "MagicValue", 0x04: "Version", 0x08: "DeviceID", 0x0c: "VendorID", 0x10: "DeviceFeatures",
              0x34: "QueueSizeMax", 0x44: "QueueReady", 0x60: "InterruptStatus", 0x70: "Status", 0xb0: "SHMLenLow",
              0xb4: "SHMLenHigh", 0xb8: "SHMBaseLow", 0xbc: "SHMBaseHigh", 0xc0: "QueueReset"}


@dataclass(frozen=True, order=True)
class Divergence:
    seed: str
    what: str
    ours: str
    theirs: str


class Replay:
    def __init__(self, machine: Machine, device):
        self._machine = machine
        self._device = device
        self._memory = bytearray(_WINDOW)  # ours
        self._before = bytearray(_WINDOW)  # without what our device has done since they were compared
        self._rings = Rings()
        self._offer = 0
        self._served = False
        self._changed_behind = False  # since they were compared
        self._found = {}
        self.ended = False

    def run(self, trace: Trace, seed: str) -> list[Divergence]:
        """What differs is said of `seed`. Errors: LeftOut."""
        self._device.start()
        steps = self._resolved(trace.steps)
        try:
            self._their_offer = self._features()
            # The first difference that is more than a register's value is the cause of others.
            all(self._take(*step) for step in steps)
            self.ended = True
        except LeftOut:
            self.ended = True
            raise
        except Gone as gone:
            self._found["QEMU"] = ("goes on", str(gone))
        return [Divergence(seed, what, *values) for what, values in self._found.items()]

    def wipe(self) -> bool:
        """Makes the machine as it was before; False when that cannot be done."""
        if not self.ended or not self._device.reusable():
            return False
        self._machine.write(_STATUS, 4, 0)
        self._machine.clear_memory(_WINDOW)
        return self._machine.read(_STATUS) == self._machine.read(_INTERRUPT_STATUS) == 0

    def _resolved(self, steps: list[list[str]]) -> list[list[str]]:
        """Without the offer, which is known before the first step."""
        offers = [int(words[0], 16) for name, *words in steps if name == "offer"]
        self._offer = offers[0] if offers else 0
        return [step for step in steps if step[0] != "offer"]

    def _features(self) -> int:
        words = []
        for word in (0, 1):
            self._machine.write(_DEVICE_FEATURES_SEL, 4, word)
            words.append(self._machine.read(_DEVICE_FEATURES))
        self._machine.write(_DEVICE_FEATURES_SEL, 4, 0)
        return words[0] | words[1] << 32

    def _take(self, name: str, *words: str) -> bool:
        """False: nothing can be compared any more."""
        if name in ("guest", "device"):
            self._change(name, int(words[0], 16), bytes.fromhex(words[1]))
        elif name == "write":
            self._write(int(words[0], 16), int(words[1]), int(words[2], 16))
        elif name == "read":
            self._read(int(words[0], 16), int(words[1]), int(words[2], 16))
        elif name == "behind":
            self._device.behind(int(words[0], 16), bytes.fromhex(words[1]))
        elif name == "disk":
            self._changed_behind = True
            self._device.change_behind(int(words[0], 16), bytes.fromhex(words[1]))
        elif name == "host":
            self._device.host_event(self._machine, int(words[0], 16), int(words[1], 16), self._served)
        elif name == "arrives":
            self._device.arrives(self._machine, bytes.fromhex("".join(words[1:])))
        elif name == "sends":
            self._device.sends(bytes.fromhex(words[1]))
        elif words != ("busy",):
            return self._settled(int(words[0], 16), int(words[1], 16))
        return True

    def _change(self, who: str, address: int, content: bytes) -> None:
        if who == "guest":
            self._before[address:address + len(content)] = content
        self._memory[address:address + len(content)] = content
        if who == "guest":
            self._machine.write_memory(address, content)
        else:
            self._served = True

    def _write(self, offset: int, width: int, value: int) -> None:
        if offset == _DRIVER_FEATURES:
            value = self._both_offer(value)
        if width == 4:
            self._rings.write(offset, value)
        self._device.keep_ready()
        self._machine.write(offset, width, value)

    def _both_offer(self, value: int) -> int:
        """A driver takes no feature that QEMU does not offer; what ours does not offer, either, is asked for all the same."""
        shift = 32 * self._rings.device_word()
        lacking = value << shift & self._offer & ~self._their_offer
        if lacking & ~self._device.does_without:
            raise LeftOut(f"QEMU has no feature {(lacking & ~self._device.does_without).bit_length() - 1}")
        return value & ~(lacking >> shift)

    def _read(self, offset: int, width: int, ours: int) -> None:
        theirs = self._machine.read(offset, width)
        if offset == _GENERATION:
            return  # only its changes mean something
        if theirs != ours:
            self._differ(_register(offset, width), f"{ours:#x}", f"{theirs:#x}")

    def _settled(self, status: int, interrupt: int) -> bool:
        self._check_order()
        self._device.finish(self._machine)
        for _ in range(_TURNS):
            differences = self._differences(status, interrupt)
            if all(place.rank == Rank.HABIT for place, *_ in differences):
                break
            self._device.keep_ready()
            time.sleep(_PAUSE)
        for place, ours, theirs in differences:
            self._differ(place.name, f"{ours:#x}", f"{theirs:#x}")
            if place.rank <= Rank.PROGRESS:
                return False
        self._before[:] = self._memory
        if differences or self._device.any_order:
            self._machine.write_memory(0, bytes(self._memory))
            self._device.adopt()
        return True

    def _check_order(self) -> None:
        """Errors: LeftOut, where QEMU may do what it was asked at once in another order, and that can be seen."""
        if not self._device.any_order:
            return
        if self._rings.packed_answers(self._before, self._memory) > 1:
            raise LeftOut("QEMU may answer the requests of a packed ring in another order")
        if self._changed_behind and self._rings.split_answers(self._before, self._memory) > 1:
            raise LeftOut("QEMU may change its disk in another order")
        self._changed_behind = False

    def _differences(self, status: int, interrupt: int) -> list[tuple[Place, int, int]]:
        """With our value and theirs; what others follow from comes first."""
        registers = [(Place(Rank.STATUS, "Status"), status, self._machine.read(_STATUS)),
                     (Place(Rank.INTERRUPT, "InterruptStatus"), interrupt, self._machine.read(_INTERRUPT_STATUS))]
        found = [(place, ours, theirs) for place, ours, theirs in registers if ours != theirs]
        return sorted(found + self._memory_differences() + self._device.differences())

    def _memory_differences(self) -> list[tuple[Place, int, int]]:
        theirs = bytearray(self._machine.read_memory(0, _WINDOW))
        for start, end in self._rings.advice():
            theirs[start:end] = self._memory[start:end]
        self._rings.in_our_order(self._before, self._memory, theirs)
        places = {self._rings.place(address, self._memory, theirs) for address in _unlike(self._memory, theirs)}
        # One byte of data stands for all of them.
        data = sorted(place for place in places if place.rank == Rank.DATA)
        return [(place, place.value(self._memory), place.value(theirs)) for place in places.difference(data[1:])]

    def _differ(self, what: str, ours: str, theirs: str) -> None:
        self._found.setdefault(what, (ours, theirs))


def _unlike(ours: bytes, theirs: bytes):
    """The addresses at which they differ."""
    for page in range(0, len(ours), _PAGE):
        a, b = ours[page:page + _PAGE], theirs[page:page + _PAGE]
        if a != b:
            yield from (page + i for i in range(len(a)) if a[i] != b[i])


def _register(offset: int, width: int) -> str:
    if offset >= 0x100:
        name = f"configuration space at {offset - 0x100:#x}"
    else:
        name = _REGISTERS.get(offset, f"the register at {offset:#x}")
    return name if width == 4 else f"{name}, {width} bytes"
