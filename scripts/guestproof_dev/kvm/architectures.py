"""The three architectures of guests: which Debian packages a nested machine of each is made of, and how it is started.

Measured on two cores, from start to command: x86_64 4 s, aarch64 2.5 s, riscv64 3 s.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Architecture:
    name: str
    elf: int  # e_machine of its programs
    debian: str  # Debian's name for it
    suite: str  # the oldest release that has it, and a kernel that offers KVM
    emulator: str
    machine: tuple[str, ...]  # what makes QEMU emulate the hardware that KVM needs
    console: str
    disk: str  # the 9p device
    modules: tuple[str, ...]  # of the kernel, in the order in which they are loaded; any may be built in
    image = "boot/vmlinu*"  # in the kernel's package
    unpacked = True  # the kernel, which saves the emulated machine that

    @property
    def kernel(self) -> str:
        return f"linux-image-{self.debian}"


_SHARES = ("9pnet", "9pnet_virtio", "9p", "overlay")

ALL = {each.name: each for each in (
    # Emulates AMD SVM.
    Architecture("x86_64", 62, "amd64", "bookworm", "qemu-system-x86_64", ("-M", "pc", "-cpu", "max"), "ttyS0",
                 "virtio-9p-pci",
                 ("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci", "netfs", "fscache",
                  *_SHARES, "tun", "irqbypass", "kvm", "ccp", "kvm-amd")),
    # Emulates EL2. Without pauth-impdef the emulator spends three quarters of its time on signing pointers.
    Architecture("aarch64", 183, "arm64", "bookworm", "qemu-system-aarch64",
                 ("-M", "virt,virtualization=on,gic-version=3", "-cpu", "max,pauth-impdef=on"), "ttyAMA0",
                 "virtio-9p-device", ("virtio_mmio", "netfs", "fscache", *_SHARES, "kvm")),
    # Emulates the H extension.
    Architecture("riscv64", 243, "riscv64", "trixie", "qemu-system-riscv64", ("-M", "virt", "-cpu", "rv64,h=true"), "ttyS0",
                 "virtio-9p-device", ("virtio_mmio", "netfs", *_SHARES, "irqbypass", "kvm")),
)}
