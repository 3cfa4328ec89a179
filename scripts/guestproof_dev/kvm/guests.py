"""Stock kernels of Debian, and memtest86+, for machines of ours to boot: what `scripts/dev with-kvm --guest NAME` has ready.

A guest's folder has its `kernel`, as Debian packs it, `vmlinux` where that is packed with xz, the modules that drive the
machine's devices, in the order in which they are loaded, and a static busybox.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Guest:
    name: str
    debian: str
    suite: str
    kernel: str  # the package, or the one that depends on it
    modules: tuple[str, ...] = ()
    image: str = "boot/vmlinu*"  # in the package
    unpacked = False

    @property
    def variable(self) -> str:
        """Of the environment; its value is the guest's folder."""
        return "GUESTPROOF_GUEST_" + self.name.upper().translate(str.maketrans("-.", "__"))


_DRIVERS = ("virtio_ring", "virtio", "virtio_mmio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci",
           "virtio_blk", "failover", "net_failover", "virtio_net", "virtio_console", "rng-core", "virtio-rng", "vsock",
           "vmw_vsock_virtio_transport_common", "vmw_vsock_virtio_transport", "virtio_balloon", "pvpanic", "pvpanic-mmio",
           "button", "evdev")

ALL = {each.name: each for each in (
    Guest("cloud-6.1", "amd64", "bookworm", "linux-image-cloud-amd64", _DRIVERS),
    Guest("amd64-6.1", "amd64", "bookworm", "linux-image-amd64", _DRIVERS),
    Guest("cloud-6.12", "amd64", "trixie", "linux-image-cloud-amd64", _DRIVERS),
    # Follows Linux's boot protocol, and nobody here wrote it.
    Guest("memtest", "amd64", "bookworm", "memtest86+", image="boot/memtest86+x64.bin"),
    # Has no driver of pvpanic.
    Guest("arm64-6.1", "arm64", "bookworm", "linux-image-arm64", tuple(name for name in _DRIVERS if "pvpanic" not in name)),
)}
