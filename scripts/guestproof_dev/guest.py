"""Get a stock kernel of Debian and make it an initrd with a shell: something for guestproof-vmm to boot.

The folder has `kernel`, as Debian packs it, and `initrd`: busybox, and the modules that drive the machine's devices,
which are loaded before the shell starts on the serial line. The machine is powered off when the shell ends. The kernels
are Debian packages, unpacked into ~/.cache/guestproof when they are first needed.

What is printed boots it on a host of the guest's architecture whose KVM works. `scripts/dev build release --target
guestproof-vmm` makes the program of x86_64, `scripts/dev build aarch64 --target guestproof-vmm` that of aarch64.
"""

import os
import shutil
from pathlib import Path

from guestproof_dev.fuzz import atomic
from guestproof_dev.kvm import guests, initramfs, kernels
from guestproof_dev.kvm.guests import Guest
from guestproof_dev.paths import BUILD


def add_arguments(parser):
    parser.add_argument("name", choices=guests.ALL, metavar="NAME", help=", ".join(guests.ALL))
    parser.add_argument("folder", type=Path, metavar="DIR", help="where they go; is made")


def main(args) -> int:
    guest = guests.ALL[args.name]
    kernel = kernels.ensure(guest)
    args.folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kernel.image, args.folder / "kernel")
    atomic.write(args.folder / "initrd", initramfs.with_shell(kernel))
    print(f"{_program(guest)} --kernel path={args.folder / 'kernel'} --initrd path={args.folder / 'initrd'}")
    return 0


def _program(guest: Guest) -> str:
    """The guestproof-vmm for it, where a build puts it."""
    preset = "aarch64" if guest.debian == "arm64" else "release"
    return os.path.relpath(BUILD / preset / "vmm" / "guestproof-vmm")
