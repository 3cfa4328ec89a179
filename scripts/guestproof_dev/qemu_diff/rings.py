"""Where a guest's queues are, as the driver told the device, and what a byte of them is called."""

from dataclasses import dataclass, field, replace
from enum import IntEnum, auto

_STATUS, _QUEUE_SEL, _QUEUE_NUM, _QUEUE_READY = 0x70, 0x30, 0x38, 0x44
_DRIVER_FEATURES, _DRIVER_FEATURES_SEL = 0x20, 0x24
_AREAS = {0x80: "desc", 0x90: "driver", 0xa0: "device"}
_PACKED = 34
_WRITE = 2


@dataclass
class Queue:
    size: int = 64  # what ours has until the driver says so
    ready: bool = False
    areas: dict = field(default_factory=lambda: dict.fromkeys(_AREAS.values(), 0))


class Rank(IntEnum):
    """What to tell of first. Up to PROGRESS the two have gone different ways."""

    STATUS = auto()
    PROGRESS = auto()
    LENGTH = auto()
    DATA = auto()
    INTERRUPT = auto()
    HABIT = auto()  # at every request


@dataclass(frozen=True, order=True)
class Place:
    """What can differ. In memory: where it is, and which bits."""

    rank: Rank
    name: str
    start: int = 0
    length: int = 0
    bits: int = -1

    def value(self, memory: bytes) -> int:
        return int.from_bytes(memory[self.start:self.start + self.length], "little") & self.bits


class Rings:
    """Follows the driver's register writes."""

    def __init__(self):
        self.features = 0
        self._word = 0
        self._selected = 0
        self._queues = {}

    def write(self, offset: int, value: int) -> None:
        queue = self._queues.setdefault(self._selected, Queue())
        if offset == _STATUS and value == 0:
            self.features, self._queues = 0, {}
        elif offset == _DRIVER_FEATURES_SEL:
            self._word = value
        elif offset == _DRIVER_FEATURES and self._word < 2:
            kept = self.features & ~(0xffffffff << 32 * self._word)
            self.features = kept | value << 32 * self._word
        elif offset == _QUEUE_SEL:
            self._selected = value
        elif offset == _QUEUE_NUM and value != 0:  # which both refuse
            queue.size = value
        elif offset == _QUEUE_READY:
            queue.ready = value == 1
        elif offset & ~4 in _AREAS:
            name, shift = _AREAS[offset & ~4], 32 if offset & 4 else 0
            queue.areas[name] = queue.areas[name] & ~(0xffffffff << shift) | value << shift

    def device_word(self) -> int:
        """Which word of features the driver writes next."""
        return self._word

    def place(self, address: int, ours: bytes, theirs: bytes) -> Place:
        """What it is that differs at this address."""
        for index, queue in sorted(self._queues.items()):
            if queue.ready and (found := self._in_queue(index, queue, address)):
                return _write_flag(found, ours, theirs) if found.name.endswith("].flags") else found
        return Place(Rank.DATA, f"memory at {address:#x}", address, 1)

    def advice(self) -> list[tuple[int, int]]:
        """Where the device says whether it wants notifications, start and end of each: only advice."""
        ranges = []
        for queue in self._queues.values():
            used = queue.areas["device"]
            if queue.ready and self._packed():
                ranges.append((used, used + 4))
            elif queue.ready:
                avail_event = used + 4 + 8 * queue.size
                ranges += [(used, used + 2), (avail_event, avail_event + 2)]
        return ranges

    def in_our_order(self, before: bytes, ours: bytes, theirs: bytearray) -> None:
        """Used entries of split rings that are new: theirs moved to where ours of the same id is. A device may return
        buffers in any order."""
        for used, slots in self._new_entries(before, ours):
            found = {bytes(theirs[used + slot:used + slot + 4]): theirs[used + slot:used + slot + 8] for slot in slots}
            ids = [bytes(ours[used + slot:used + slot + 4]) for slot in slots]
            if len(found) == len(slots) and found.keys() == set(ids):
                for slot, name in zip(slots, ids):
                    theirs[used + slot:used + slot + 8] = found[name]

    def _new_entries(self, before: bytes, ours: bytes):
        """For each split ring where it is, and the places in it of entries used since."""
        for queue in self._queues.values():
            used = queue.areas["device"]
            if queue.ready and not self._packed() and used + 4 + 8 * queue.size <= len(ours):
                first, end = (int.from_bytes(memory[used + 2:used + 4], "little") for memory in (before, ours))
                count = (end - first) % 65536
                if count <= queue.size:
                    yield used, [4 + 8 * ((first + i) % queue.size) for i in range(count)]

    def split_answers(self, before: bytes, ours: bytes) -> int:
        """How many entries of split rings were used since."""
        return sum(len(slots) for _, slots in self._new_entries(before, ours))

    def packed_answers(self, before: bytes, ours: bytes) -> int:
        """How many descriptors of packed rings were used since."""
        flags = (queue.areas["desc"] + 16 * slot + 14 for queue in self._queues.values()
                 if queue.ready and self._packed() for slot in range(queue.size))
        return sum(before[at:at + 2] != ours[at:at + 2] for at in flags)

    def _packed(self) -> bool:
        return bool(self.features >> _PACKED & 1)

    def _in_queue(self, index: int, queue: Queue, address: int) -> Place | None:
        describe = _in_packed if self._packed() else _in_split
        for rank, name, start, length in describe(queue, address):
            if start <= address < start + length:
                return Place(rank, f"queue {index}, {name}", start, length)
        return None


def _in_split(queue: Queue, address: int):
    used = queue.areas["device"]
    slot = (address - used - 4) // 8
    yield Rank.PROGRESS, "used.idx", used + 2, 2
    if 0 <= slot < queue.size:
        yield Rank.PROGRESS, f"used.ring[{slot}].id", used + 4 + 8 * slot, 4
        yield Rank.LENGTH, f"used.ring[{slot}].len", used + 8 + 8 * slot, 4


def _in_packed(queue: Queue, address: int):
    ring = queue.areas["desc"]
    slot = (address - ring) // 16
    if 0 <= slot < queue.size:
        start = ring + 16 * slot
        yield Rank.PROGRESS, f"desc[{slot}].flags", start + 14, 2
        yield Rank.PROGRESS, f"desc[{slot}].id", start + 12, 2
        yield Rank.LENGTH, f"desc[{slot}].len", start + 8, 4
        yield Rank.LENGTH, f"desc[{slot}].addr", start, 8


def _write_flag(flags: Place, ours: bytes, theirs: bytes) -> Place:
    """Where flags differ in VIRTQ_DESC_F_WRITE only, a used descriptor says so, or not, at every request."""
    if flags.value(ours) ^ flags.value(theirs) != _WRITE:
        return flags
    return replace(flags, rank=Rank.HABIT, name="VIRTQ_DESC_F_WRITE of a used descriptor", bits=_WRITE)
