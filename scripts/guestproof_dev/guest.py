"""Get a stock kernel of Debian and make it an initrd with a shell: something for guestproof-vmm to boot.

The folder has `kernel`, as Debian packs it, and `initrd`: busybox, and the modules that drive the machine's devices, which
are loaded before the shell starts on the serial line. The machine is powered off when the shell ends. The kernels are Debian
packages, unpacked into ~/.cache/guestproof when they are first needed.
"""

import shutil
from pathlib import Path

from guestproof_dev.fuzz import atomic
from guestproof_dev.kvm import guests, initramfs, kernels


def add_arguments(parser):
    parser.add_argument("name", choices=guests.ALL, metavar="NAME", help=", ".join(guests.ALL))
    parser.add_argument("folder", type=Path, metavar="DIR", help="where they go; is made")


def main(args) -> int:
    kernel = kernels.ensure(guests.ALL[args.name])
    args.folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(kernel.image, args.folder / "kernel")
    atomic.write(args.folder / "initrd", initramfs.with_shell(kernel))
    print(f"guestproof-vmm --kernel path={args.folder / 'kernel'} --initrd path={args.folder / 'initrd'}")
    return 0
