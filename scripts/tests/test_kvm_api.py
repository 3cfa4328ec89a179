"""The table of KVM's ioctls: what it must hold, and what it may not claim."""

import pytest
from guestproof_dev import kvm_api

HEADER = """\
#define KVM_A _IO(KVMIO, 0x00)
#define KVM_B _IOR(KVMIO, 0x01, \\
                   struct b)
#define KVM_OLD __KVM_DEPRECATED_1
#define KVM_NOT_A_CALL 7
#define GUESTPROOF_KVM_IOCTLS_EVERYWHERE(X) X(kA, KVM_A)
#if defined(__x86_64__)
#define GUESTPROOF_KVM_IOCTLS_HERE(X) \\
  X(kB, KVM_B)
#else
#define GUESTPROOF_KVM_IOCTLS_HERE(X)
#endif
"""
SOURCE = """\
namespace guestproof::kvm {
Result<int> Vm::a(
    int value) const {
  return call(fd(), Ioctl::kA);
}
void Vm::twice() { call(fd(), Ioctl::kB) && call(fd(), Ioctl::kA); }
}
"""
CELLS = {"KVM_A": {"x86_64": "`Slots.Move` and 2 more", "aarch64": "refused: `Slots.Move`", "riscv64": "fake: `Fake.Call`"},
         "KVM_B": {"x86_64": "`Slots.Move`"}}


@pytest.fixture
def tree(sketch):
    """A tree whose table is right."""
    sketch.write("lib/guestproof/kvm/ioctls.h", HEADER)
    sketch.write("lib/guestproof/kvm/vm.cc", SOURCE)
    sketch.write("tests/kvm/slots_kvm.cc", "TEST_P(Slots, Move) {}\nTEST(Fake, Call) {}\n")
    sketch.write(kvm_api.LEFT_OUT, "KVM_B: x86's\nKVM_O*: too old\n")
    sketch.write(kvm_api.TABLE, kvm_api.render(kvm_api.read(sketch.root), kvm_api.left_out(sketch.root), CELLS))
    return sketch


def problems(tree) -> str:
    return "\n".join(kvm_api.check(tree.root, kvm_api.read(tree.root)))


def change(tree, path: str, old: str, new: str) -> None:
    text = (tree.root / path).read_text()
    assert old in text
    tree.write(path, text.replace(old, new))


def test_the_table_has_every_ioctl_of_every_architecture(tree):
    table = (tree.root / kvm_api.TABLE).read_text()
    assert "| `KVM_A` | `Vm::a`, `Vm::twice` | `Slots.Move` and 2 more | refused: `Slots.Move` | fake: `Fake.Call` |\n" in table
    assert "| `KVM_B` | `Vm::twice` | `Slots.Move` |  |  |\n" in table
    assert "| `KVM_B` | aarch64, riscv64 | x86's |\n" in table
    assert "| `KVM_OLD` | everywhere | too old |\n" in table
    assert "NOT_A_CALL" not in table
    assert problems(tree) == ""
    assert kvm_api.read_cells(tree.root) == CELLS


def test_an_ioctl_that_is_neither_wrapped_nor_explained(tree):
    change(tree, "lib/guestproof/kvm/ioctls.h", "#define KVM_A ", "#define KVM_NEW _IO(KVMIO, 0x02)\n#define KVM_A ")
    assert "KVM_NEW is not wrapped on x86_64, aarch64, riscv64, and no line says why." in problems(tree)
    assert "docs/kvm-api.md is not what the headers and the library say" in problems(tree)


def test_a_reason_for_what_is_wrapped(tree):
    tree.write(kvm_api.LEFT_OUT, "KVM_B: x86's\nKVM_O*: too old\nKVM_A: is wrapped\nKVM_GONE: why\n")
    assert "'KVM_A' is no ioctl that is left out." in problems(tree)
    assert "'KVM_GONE' is no ioctl that is left out." in problems(tree)


def test_an_ioctl_that_no_function_calls(tree):
    change(tree, "lib/guestproof/kvm/vm.cc", "Ioctl::kB", "Ioctl::kA")
    assert "lib/guestproof/kvm/ioctls.h: no function calls KVM_B." in problems(tree)


def test_a_test_that_does_not_exist(tree):
    change(tree, "tests/kvm/slots_kvm.cc", "TEST(Fake, Call) {}\n", "")
    assert problems(tree) == "docs/kvm-api.md: KVM_A, riscv64: there is no test Fake.Call."


@pytest.mark.parametrize("cell", ["no test", "", "`Slots`"])
def test_an_ioctl_that_no_test_calls(tree, cell):
    change(tree, kvm_api.TABLE, "| refused: `Slots.Move` |", f"| {cell} |")
    assert "docs/kvm-api.md: no test calls KVM_A on aarch64." in problems(tree)


def test_a_table_that_was_edited(tree):
    change(tree, kvm_api.TABLE, "too old", "bad")
    assert problems(tree) == \
        "docs/kvm-api.md is not what the headers and the library say; `scripts/dev kvm-api --write` writes it."


@pytest.mark.parametrize("log, complaint", [
    ("KVM_A granted All/Slots.Move/3\nKVM_B granted All/Slots.Move/3\nran All/Slots.Move/3\n", ""),
    ("KVM_A granted Slots/0.Move\nran Slots/0.Move\n", "docs/kvm-api.md: Slots.Move has not had KVM_B granted on x86_64."),
    ("KVM_A granted Slots.Move\nKVM_B refused Slots.Move\nran Slots.Move\n",
     "docs/kvm-api.md: Slots.Move has not had KVM_B granted on x86_64."),
    ("KVM_A granted Slots.Move\nskipped Slots.Move\n", ""),
    ("KVM_A granted Others.Move\nran Others.Move\n", ""),  # it was not run
])
def test_a_claim_that_a_test_does_not_live_up_to(tmp_path, log, complaint):
    (tmp_path / "ioctls/x86_64").mkdir(parents=True)
    (tmp_path / "ioctls/x86_64/kvm_slots_kvm.txt").write_text(log)
    assert "\n".join(kvm_api.unseen(CELLS, "x86_64", tmp_path)) == complaint


def test_what_a_real_kernel_granted_counts_most(tmp_path, monkeypatch):
    logs = {"real": "KVM_A granted Slots.Move\nKVM_A granted All/Slots.Grow/1\nKVM_A refused Slots.Add\nKVM_B refused Slots.Add\nran Slots.Add\n",
            "fake": "KVM_A granted Fake.Call\nKVM_B granted Fake.Call\nKVM_C granted Fake.Call\nKVM_D refused Fake.Call\n"}

    def put(name, folder):
        (folder / "ioctls/x86_64").mkdir(parents=True, exist_ok=True)
        (folder / "ioctls/x86_64/program.txt").write_text(logs[name])

    put("real", tmp_path)
    monkeypatch.setattr(kvm_api, "_run_fakes", lambda _architecture, out: put("fake", out))
    assert kvm_api.measure(tmp_path) == {"KVM_A": {"x86_64": "`Slots.Grow` and 1 more"}, "KVM_B": {"x86_64": "refused: `Slots.Add`"},
                                 "KVM_C": {"x86_64": "fake: `Fake.Call`"}}
