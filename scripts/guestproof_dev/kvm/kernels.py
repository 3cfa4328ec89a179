"""The kernels of nested machines and of guests, from Debian's packages into $XDG_CACHE_HOME/guestproof (else
~/.cache/guestproof).

kernels/NAME/PACKAGE_VERSION_RECIPE/, NAME being an architecture or a guest, holds the kernel, the modules that are
loaded there and a static busybox. A folder of that name is complete: it is made under another name. Once there it is
used without asking the network; `scripts/dev setup kernels` looks for newer ones.
"""

import fcntl
import hashlib
import lzma
import os
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from guestproof_dev.errors import Fail
from guestproof_dev.kvm import apt, architectures, guests, scratch
from guestproof_dev.kvm.architectures import Architecture
from guestproof_dev.kvm.guests import Guest

BUSYBOX = "busybox-static"
_RECIPE = 2  # to be raised when a cache is made in another way; the modules are part of a folder's name anyway
_NEW = ".new-"

ALL: list[Architecture | Guest] = [*architectures.ALL.values(), *guests.ALL.values()]


@dataclass(frozen=True)
class Kernel:
    folder: Path

    @property
    def image(self) -> Path:
        return self.folder / "kernel"

    @property
    def busybox(self) -> Path:
        return self.folder / "busybox"

    @property
    def modules(self) -> list[Path]:
        """In the order in which they are loaded."""
        return sorted((self.folder / "modules").iterdir())


def cache() -> Path:
    """The folder outside the build tree for what is downloaded or made once."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "guestproof"


class Mirror(ExitStack):
    """What has the packages. While it is open each list and each package is downloaded once: the kernel of a nested
    machine is a guest's, too, and every kernel takes busybox."""

    def __init__(self):
        super().__init__()
        self._releases: dict[tuple[str, str], apt.Apt] = {}

    def packages(self, what: Architecture | Guest) -> apt.Apt:
        release = (what.suite, what.debian)
        if release not in self._releases:
            # Not in the cache: apt's own user must be able to read it.
            private = self.enter_context(scratch.folder())
            os.chmod(private, 0o755)
            packages = apt.Apt(private, what.debian, what.suite, apt.mirror())
            packages.update(what.kernel)
            self._releases[release] = packages
        return self._releases[release]


def ensure(what: Architecture | Guest, mirror: Mirror | None = None) -> Kernel:
    """The newest kernel that is there, else the one that the mirror has."""
    found = cached(what)
    if found:
        return found
    with _locked(what) as folder:
        return cached(what) or _fetch(what, folder, mirror)


def refresh(what: Architecture | Guest, mirror: Mirror) -> Kernel:
    """The mirror's newest; where the mirror cannot be reached, what is there."""
    try:
        with _locked(what) as folder:
            return _fetch(what, folder, mirror)
    except Fail as problem:
        found = cached(what)
        if not found:
            raise
        print(f"dev: {problem} {found.folder.name} is used.", file=sys.stderr)
        return found


def cached(what: Architecture | Guest) -> Kernel | None:
    folders = (cache() / "kernels" / what.name).glob(f"*_{recipe(what)}")
    newest = max(folders, key=lambda folder: folder.stat().st_mtime, default=None)
    return Kernel(newest) if newest else None


def recipe(what: Architecture | Guest) -> str:
    return hashlib.sha256(repr((_RECIPE, what.modules, what.image)).encode()).hexdigest()[:8]


@contextmanager
def _locked(what: Architecture | Guest):
    """The folder of its name, ours alone; what a kill -9 left there is removed."""
    folder = cache() / "kernels" / what.name
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"dev: waiting for another download of {what.kernel}", file=sys.stderr, flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        for left in folder.glob(f"{_NEW}*"):
            shutil.rmtree(left)
        yield folder


def _fetch(what: Architecture | Guest, folder: Path, mirror: Mirror | None) -> Kernel:
    started = time.monotonic()
    with Mirror() as own:
        packages = (mirror or own).packages(what)
        package = packages.kernel_of(what.kernel)
        target = folder / f"{package}_{packages.version(package).replace(':', '%')}_{recipe(what)}"
        if not target.exists():
            print(f"dev: downloading {package} and {BUSYBOX} for {what.name}", file=sys.stderr, flush=True)
            _make(target, what, packages.download(package), packages.download(BUSYBOX))
            print(f"dev: the kernel for {what.name} is in {target} ({time.monotonic() - started:.1f} s)",
                  file=sys.stderr, flush=True)
    # The one before stays: a machine may be starting from it.
    for old in sorted(folder.glob("[!.]*_*"), key=lambda each: each.stat().st_mtime)[:-2]:
        shutil.rmtree(old)
    return Kernel(target)


def _make(target: Path, what: Architecture | Guest, kernel: Path, busybox: Path) -> None:
    new = Path(tempfile.mkdtemp(dir=target.parent, prefix=_NEW))
    (new / "modules").mkdir()
    _take_kernel(new, what, kernel)
    _take_busybox(new, busybox)
    os.chmod(new, 0o755)
    os.rename(new, target)


def _take_kernel(new: Path, what: Architecture | Guest, package: Path) -> None:
    wanted = {name: f"{index:02}-{name}.ko" for index, name in enumerate(what.modules)}
    built_in: set[str] = set()
    for path, content in _files(package):
        if path.match(what.image):
            packed = content.read()
            unpacked = _unpacked(packed)
            (new / "kernel").write_bytes(unpacked if what.unpacked else packed)
            if not what.unpacked and unpacked is not packed:
                (new / "vmlinux").write_bytes(unpacked)
        elif path.name == "modules.builtin":
            built_in = {PurePosixPath(line).stem.replace("-", "_") for line in content.read().decode().splitlines()}
        elif path.name.partition(".ko")[0] in wanted and ".ko" in path.name:
            module = wanted.pop(path.name.partition(".ko")[0])
            (new / "modules" / module).write_bytes(_plain(path, content.read()))
    lacking = {name for name in wanted if name.replace("-", "_") not in built_in}
    if lacking or not (new / "kernel").exists():
        raise Fail(f"{package.name} has no {', '.join(sorted(lacking)) or 'kernel'}.")


def _take_busybox(new: Path, package: Path) -> None:
    for path, content in _files(package):
        if path.name == "busybox" and path.parent.name == "bin":
            (new / "busybox").write_bytes(content.read())
    if not (new / "busybox").exists():
        raise Fail(f"{package.name} has no busybox.")


def _files(package: Path):
    """Path and content of each file in a .deb, as it passes by: the kernel's packages unpack to 400 MB."""
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE) as unpacking:
        with tarfile.open(fileobj=unpacking.stdout, mode="r|") as archive:
            for member in archive:
                if member.isfile():
                    yield PurePosixPath(member.name), archive.extractfile(member)
        unpacking.stdout.read()
    if unpacking.returncode != 0:
        raise Fail(f"dpkg-deb cannot unpack {package.name}: exit code {unpacking.returncode}.")


def _plain(path: PurePosixPath, content: bytes) -> bytes:
    if path.suffix == ".xz":
        return lzma.decompress(content)
    if path.suffix != ".ko":
        raise Fail(f"the module {path} is compressed in a way that is not known here.")
    return content


def _unpacked(image: bytes) -> bytes:
    """Of a bzImage that holds a kernel packed with xz, the kernel: to unpack it takes an emulated machine 4 s of 8.
    Offsets are from the kernel's Documentation/arch/x86/boot.rst."""
    if image[0x202:0x206] != b"HdrS":
        return image
    setup = (image[0x1f1] or 4) + 1
    offset, length = struct.unpack_from("<II", image, 0x248)
    packed = image[setup * 512 + offset:][:length]
    return lzma.LZMADecompressor().decompress(packed) if packed[:6] == b"\xfd7zXZ\0" else image
