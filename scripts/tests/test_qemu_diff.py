"""The comparison with QEMU: that it sees every kind of difference, and holds the list to what there is."""

import socket

import pytest
from guestproof_dev import qemu_diff
from guestproof_dev.errors import Fail
from guestproof_dev.qemu_diff import ledger, trace
from guestproof_dev.qemu_diff.devices import Block, Device, LeftOut, Net
from guestproof_dev.qemu_diff.machine import Gone, Machine
from guestproof_dev.qemu_diff.replay import Divergence, Replay
from guestproof_dev.qemu_diff.rings import Place, Rank, Rings

# A driver that enables a queue of 4 entries with its used ring at 0x200, and kicks; the device uses one.
PROGRAM = """\
program corpus/rng/seeds/one
write 20 4 1
offer 3
write 30 4 0
write 38 4 4
write 80 4 100
write a0 4 200
write 44 4 1
guest 300 aabb
write 50 4 0
device 202 0100000000000002
settled f 1
read c 4 7
"""
USED = bytes.fromhex("0100000000000002")


class Theirs:
    """Stands in for a Machine: does at a kick what `answer` says."""

    def __init__(self, answer=USED, status=0xf, interrupt=1, offer=3, vendor=7):
        self.memory = bytearray(0x21000)
        self.answer = answer
        self.registers = {0x70: status, 0x60: interrupt, 0x10: offer, 0xc: vendor}
        self.writes = []

    def read(self, offset, _width=4):
        return 0 if offset == 0x10 and self.writes[-1] == (0x14, 1) else self.registers[offset]

    def write(self, offset, _width, value):
        self.writes.append((offset, value))
        if offset == 0x50:
            if isinstance(self.answer, Gone):
                raise self.answer
            self.write_memory(0x202, self.answer)

    def read_memory(self, address, length):
        return bytes(self.memory[address:address + length])

    def write_memory(self, address, content):
        self.memory[address:address + len(content)] = content


class Willing(Device):
    does_without = -1


def differences(theirs, text=PROGRAM, device=Device):
    [program] = trace.parse(text)
    found = Replay(theirs, device()).run(program, "rng:rng/one")
    return [(divergence.what, divergence.ours, divergence.theirs) for divergence in found]


def test_the_same_is_no_divergence():
    theirs = Theirs()
    assert differences(theirs) == []
    assert theirs.read_memory(0x300, 2) == b"\xaa\xbb"


@pytest.mark.parametrize("theirs, divergence", [
    (Theirs(answer=b""), ("queue 0, used.idx", "0x1", "0x0")),
    (Theirs(answer=bytes.fromhex("0100030000000002")), ("queue 0, used.ring[0].id", "0x0", "0x3")),
    (Theirs(answer=bytes.fromhex("0100000000000003")), ("queue 0, used.ring[0].len", "0x200", "0x300")),
    (Theirs(status=0x4f), ("Status", "0xf", "0x4f")),
    (Theirs(interrupt=0), ("InterruptStatus", "0x1", "0x0")),
    (Theirs(vendor=8), ("VendorID", "0x7", "0x8")),
    (Theirs(answer=Gone("ends with SIGABRT")), ("QEMU", "goes on", "ends with SIGABRT")),
])
def test_a_difference_is_seen(theirs, divergence):
    assert differences(theirs) == [divergence]


class FastDisk(Block):
    """Whose machine has nothing to drain."""

    def __init__(self):
        super().__init__(None)

    def finish(self, _machine):
        pass


@pytest.mark.parametrize("written, divergences", [("", []), ("disk 600 77\n", [("sector 3 of the disk", "0x77", "0x0")])])
def test_a_byte_of_the_disk_is_seen(written, divergences):
    text = PROGRAM.replace("write 20", "behind 0 010203\nwrite 20").replace("settled", f"{written}settled")
    assert differences(Theirs(), text, device=FastDisk) == divergences


def test_what_may_happen_in_another_order_and_shows_is_left_out():
    text = PROGRAM.replace("0100000000000002", "02000100000008000000" "00000000ff000000")
    with pytest.raises(LeftOut, match="another order"):
        differences(Theirs(), text.replace("settled", "disk 600 77\nsettled"), device=FastDisk)


HEADER = "01" + 11 * "00"


class Wire:
    """A network, and a machine on it that sends these frames when it is kicked."""

    def __init__(self, *frames):
        self.network = Net(None)
        self.theirs = self.Kicked(self.network, frames)

    class Kicked(Theirs):
        def __init__(self, network, frames):
            super().__init__()
            self._socket, self._frames = network._theirs, frames
            self.events = []

        def write(self, offset, width, value):
            super().write(offset, width, value)
            if offset == 0x50:
                for frame in self._frames:
                    self._socket.send(frame)

        def read(self, offset, width=4):
            return super().read(offset, width) if offset else 0

        def set_link(self, network, up):
            self.events.append((network, up))

        def announce(self):
            self.events.append("announce")

        def arrived(self):
            return self._socket.recv(100)

        def send(self, *frames):
            """How many the socket takes."""
            for count, frame in enumerate(frames):
                try:
                    self._socket.send(frame, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    return count
            return len(frames)

    def differences(self, *steps):
        text = PROGRAM.replace("settled", "".join(f"{step}\n" for step in steps) + "settled")
        return differences(self.theirs, text, device=lambda: self.network)


@pytest.mark.parametrize("frames, divergences", [
    ([b"\x0a\x0b"], []),
    ([], [("how many frames were sent", "0x1", "0x0")]),
    ([b"\x0a\x0b", b"\x0a\x0b"], [("how many frames were sent", "0x1", "0x2")]),
    ([b"\x0a\x0b\x0c"], [("the length of a frame that was sent", "0x2", "0x3")]),
    ([b"\x0a\x0c"], [("byte 1 of a frame that was sent", "0xb", "0xc")]),
    ([b"\x0a\x0b", 12 * b"\xff" + b"\x80\x35QEMU is here"], []),
])
def test_a_frame_that_is_sent_is_seen(frames, divergences):
    assert Wire(*frames).differences(f"sends 0 {HEADER}0a0b") == divergences


def test_frames_that_differed_are_told_of_once():
    steps = [f"sends 0 {HEADER}0a0b", "settled f 1"]
    assert Wire(b"\x0a\x0c").differences(*steps, "read c 4 8") == [
        ("byte 1 of a frame that was sent", "0xb", "0xc"), ("VendorID", "0x8", "0x7")]


def test_a_frame_arrives_without_its_header():
    wire = Wire()
    assert wire.differences("host 0 2", f"arrives 0 {12 * '00'}0a0b") == []
    assert wire.theirs.arrived() == b"\x0a\x0b"
    assert not wire.network.reusable()


@pytest.mark.parametrize("step, reason", [
    (f"arrives 0 {HEADER}0a0b", "has no headers"), (f"arrives 0 {12 * '00'}", "no frame to arrive"), ("arrives 0", "no frame"),
    ("host 3 2", "how many frames"), ("host 5 1", "does not fail"),
])
def test_what_a_socket_cannot_carry_is_left_out(step, reason):
    with pytest.raises(LeftOut, match=reason):
        Wire().differences(step)


@pytest.mark.parametrize("room", [0, 1])
def test_a_busy_network_takes_so_many_frames_and_goes_on_when_it_is_told(room):
    wire, frames = Wire(), [b"\x0a", b"\x0b"]
    wire.network.host_event(wire.theirs, 3, room, False)
    assert wire.theirs.send(*frames) == room
    for frame in frames[:room]:
        wire.network.sends(bytes.fromhex(HEADER) + frame)
    assert wire.network.differences() == []
    wire.network.host_event(wire.theirs, 4, 0, False)
    assert wire.theirs.send(*frames[room:]) == 2 - room
    assert wire.network.differences() == [(Place(Rank.DATA, "how many frames were sent"), room, 2)]


def test_the_link_goes_down_and_the_host_asks_for_an_announcement():
    wire = Wire()
    assert wire.differences("host 6 0", "host 6 3") == []
    assert wire.theirs.events == [("network", False), ("network", True), "announce"]


def test_a_machine_that_dies_before_it_reads_a_command_is_closed_all_the_same(tmp_path, monkeypatch):
    program = tmp_path / "qemu-system-x86_64"
    program.write_text("#!/bin/sh\nread line; echo OK 0x1; exec 0<&-; sleep 0.1; kill -ABRT $$\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with Machine(tmp_path, []) as machine, pytest.raises(Gone, match="SIGABRT"):
        while True:
            machine.write(0, 4, 0)


def test_a_byte_somewhere_is_seen():
    theirs = Theirs()
    theirs.memory[0x777] = 1
    assert differences(theirs) == [("memory at 0x777", "0x0", "0x1")]


def test_nothing_is_compared_while_the_device_is_busy():
    assert differences(Theirs(answer=b""), PROGRAM.replace("settled f 1", "settled busy")) == []


def test_nothing_is_compared_after_a_ring_has_gone_another_way():
    assert len(differences(Theirs(answer=b"", vendor=8))) == 1


def test_other_bytes_are_made_the_same_and_the_program_goes_on():
    theirs = Theirs(answer=bytes.fromhex("0100000000000003"), vendor=8)
    assert [what for what, *_ in differences(theirs)] == ["queue 0, used.ring[0].len", "VendorID"]
    assert theirs.read_memory(0x208, 2) == b"\x00\x02"


def test_a_driver_does_not_ask_for_a_feature_that_only_ours_has():
    theirs = Theirs(offer=2)
    assert differences(theirs, device=Willing) == []
    assert (0x20, 0) in theirs.writes
    with pytest.raises(LeftOut, match="QEMU has no feature 0"):
        differences(Theirs(offer=2))


def test_a_driver_asks_for_a_feature_that_nobody_has():
    theirs = Theirs()
    assert differences(theirs, PROGRAM.replace("write 20 4 1", "write 20 4 9")) == []
    assert (0x20, 9) in theirs.writes


def test_a_program_that_cannot_be_repeated_says_why():
    [program] = trace.parse("program corpus/rng/seeds/one\nonly races\nonly saved state\n")
    assert (program.seed, program.left_out) == ("rng/one", "races")


def packed_ring():
    rings = Rings()
    for offset, value in ((0x24, 1), (0x20, 1 << 2), (0x30, 2), (0x38, 8), (0x80, 0x1000), (0x84, 0), (0xa0, 0x40), (0x44, 1)):
        rings.write(offset, value)
    return rings


@pytest.mark.parametrize("address, name", [
    (0x1000, "queue 2, desc[0].addr"), (0x101e, "queue 2, desc[1].flags"), (0x101c, "queue 2, desc[1].id"),
    (0x1018, "queue 2, desc[1].len"), (0x1080, "memory at 0x1080"),
])
def test_bytes_of_a_packed_ring_have_names(address, name):
    assert packed_ring().place(address, bytes(0x2000), bytes(0x2000)).name == name


def test_the_write_flag_of_a_used_descriptor_is_told_of_once_and_does_not_hide_the_rest():
    theirs = Theirs(answer=b"")
    packed = (PROGRAM.replace("write 20 4 1", "write 24 4 1\nwrite 20 4 4")
              .replace("device 202 0100000000000002", "device 10e 8280"))
    theirs.memory[0x10e:0x110] = b"\x80\x80"
    assert differences(theirs, packed + "settled f 1\nread c 4 8\n") == [
        ("VIRTQ_DESC_F_WRITE of a used descriptor", "0x2", "0x0"), ("VendorID", "0x8", "0x7")]
    assert theirs.read_memory(0x10e, 2) == b"\x82\x80"


def test_what_a_device_says_of_notifications_is_only_advice():
    theirs = Theirs()
    for address in (0x200, 0x224):  # used.flags, avail_event
        theirs.memory[address] = 1
    assert differences(theirs) == []
    theirs.memory[0x226] = 1
    assert len(differences(theirs)) == 1


@pytest.mark.parametrize("theirs, divergences", [
    ("0200 00000000 ff000000 01000000 08000000", []),
    ("0200 00000000 ff000000 02000000 08000000", ["queue 0, used.ring[0].id"]),
    ("0200 00000000 ff000000 01000000 09000000", ["queue 0, used.ring[0].len"]),
])
def test_buffers_may_be_returned_in_any_order(theirs, divergences):
    text = PROGRAM.replace("0100000000000002", "02000100000008000000" "00000000ff000000")
    assert [what for what, *_ in differences(Theirs(answer=bytes.fromhex(theirs)), text)] == divergences


def test_a_reset_forgets_the_rings():
    rings = packed_ring()
    rings.write(0x70, 0)
    assert rings.place(0x1000, bytes(0x2000), bytes(0x2000)).name == "memory at 0x1000"


ROW = "| `rng:rng/one` `rng:rng/two` | Status | `0xf` | `0x4f` | theirs | §2.1 | It said so. |\n"
ONE, TWO = (Divergence(f"rng:rng/{name}", "Status", "0xf", "0x4f") for name in ("one", "two"))


@pytest.fixture
def listed(tmp_path):
    def write(rows):
        (tmp_path / "divergences.md").write_text("Against QEMU 7.2.\n\n" + rows)
        return ledger.read(tmp_path / "divergences.md")

    return write


def test_what_is_listed_and_happens_is_fine(listed):
    known = listed(ROW)
    assert known.version == "7.2"
    assert ledger.compare(known, [ONE, TWO], {ONE.seed, TWO.seed}) == []


def test_what_is_new_is_told(listed):
    complaints = ledger.compare(listed(""), [ONE], {ONE.seed})
    assert complaints == ["new: rng:rng/one: Status is 0xf, QEMU's 0x4f"]


def test_what_no_longer_happens_is_told(listed):
    complaints = ledger.compare(listed(ROW), [ONE], {ONE.seed, TWO.seed})
    assert complaints == ["no longer: rng:rng/two: Status is 0xf, QEMU's 0x4f"]


def test_what_was_not_compared_is_not_missed(listed):
    assert ledger.compare(listed(ROW), [ONE], {ONE.seed}) == []
    assert ledger.unknown_seeds(listed(ROW), {ONE.seed}) == [
        "listed, but there is no such program to compare: rng:rng/two"]


@pytest.mark.parametrize("row, complaint", [
    (ROW.replace("theirs", "?"), "the verdict is one of ours, theirs, open, not '?'"),
    (ROW.replace("§2.1", ""), "needs a clause"),
    (ROW.replace("It said so.", ""), "needs a clause"),
    (ROW.replace("| Status ", ""), "a row has 7 cells, this one 6"),
    (ROW + ROW, "rng:rng/one is listed twice"),
])
def test_a_row_must_be_whole(listed, row, complaint):
    with pytest.raises(Fail, match=complaint.replace("?", r"\?")):
        listed(row)


def test_rows_for_the_list_put_together_what_is_alike(listed):
    [row] = ledger.rows([TWO, ONE])
    assert listed(row.replace("| ? | ? | ? |", "| open | §2 | So it is. |")).verdicts == {ONE: "open", TWO: "open"}


def test_without_qemu_it_is_skipped_and_where_a_kvm_is_required_that_fails(copy):
    copy.environment.pop("KVM_REQUIRED", None)
    copy.write("docs/divergences.md", "Against QEMU 1.0.\n")
    copy.program("qemu-system-x86_64", "echo 'QEMU emulator version 7.2.22 (Debian)'")
    done = copy.dev("qemu-diff")
    assert done.returncode == qemu_diff.SKIPPED
    assert "dev: skipped: docs/divergences.md is for QEMU 1.0, here is QEMU emulator version 7.2.22" in done.stdout
    copy.environment["KVM_REQUIRED"] = "machine"
    assert copy.dev("qemu-diff").returncode == 1
