"""A command with a working KVM: what is brought out of the emulated machine, and what happens without one.

Tests with the fixture `machine` start one, 4 s each on an idle host; the others use stand-ins for probe and mirror.
"""

import fcntl
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import SCRIPTS
from guestproof_dev.kvm import apt, architectures, guests, kernels, probe
from guestproof_dev.with_kvm import prepare

DEV = SCRIPTS / "dev"
NESTED = ["--nested", "always"]


def with_kvm(*words, **options) -> subprocess.CompletedProcess:
    return subprocess.run([DEV, "with-kvm", *map(str, words)], capture_output=True, stdin=subprocess.DEVNULL, timeout=300,
                          **options)


@pytest.fixture(scope="module")
def machine():
    """For tests that start a machine: its kernel is there, or the machine that tests has no network and no kernel."""
    done = with_kvm(*NESTED, "--", "true")
    if done.returncode == 77 and os.environ.get("KVM_REQUIRED", "0") == "0":
        pytest.skip(done.stderr.decode())
    assert done.returncode == 0, done.stderr.decode()


def test_machine_brings_out_what_the_command_does(machine, tmp_path):
    """One machine for all of it: exit code, both streams byte by byte, files, environment, folder, nothing changed."""
    # Emulated hypervisors hang now and then: the probe gives up, and is tried again.
    precious, out = tmp_path / "precious", tmp_path / "out"
    precious.write_text("as it was")
    out.mkdir(0o700)
    script = f"""
        printf 'a\\0b\\r\\nno newline'; printf 'error\\n' >&2
        test "$(cat {precious})" = 'as it was' || exit 1
        echo changed >{precious}; rm -r {SCRIPTS}/cmake; touch {tmp_path}/new
        pwd >"$GUESTPROOF_OUT/folder"; id -u >"$GUESTPROOF_OUT/user"; echo "$GTEST_X,$OTHER" >"$GUESTPROOF_OUT/variables"
        mkdir "$GUESTPROOF_OUT/deep"; test -c /dev/kvm || exit 2
        for try in 1 2 3; do {probe.program()} >"$GUESTPROOF_OUT/deep/probe" && break; done || exit 3
        sleep 1000 &
        kill -SEGV $$"""
    done = with_kvm(*NESTED, "--", "sh", "-c", script, cwd=tmp_path,
                    env={**os.environ, "GUESTPROOF_OUT": str(out), "GTEST_X": "it's\nx", "OTHER": "kept out"})
    assert done.stdout == b"a\0b\r\nno newline"
    assert done.stderr == b"error\n"
    assert done.returncode == 128 + signal.SIGSEGV
    assert [(out / name).read_text() for name in ("folder", "user", "variables", "deep/probe")] == \
        [f"{tmp_path}\n", "0\n", "it's\nx,\n", ""]
    assert out.stat().st_mode & 0o7777 == 0o700
    assert precious.read_text() == "as it was"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "precious"]
    assert (SCRIPTS / "cmake").is_dir()


def test_machine_runs_a_command_whose_path_looks_like_a_variable(machine, tmp_path):
    (tmp_path / "a=b").symlink_to("/bin/sh")
    done = with_kvm(*NESTED, "--", "./a=b", "-c", 'echo "$1"; exit 3', "sh", "c=d", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, b"c=d\n"), done.stderr


def test_machine_that_cannot_bring_out_something_says_so(machine, tmp_path):
    script = 'cd "$GUESTPROOF_OUT"; echo x >good; touch bad; mount --bind /proc/1/mem bad'  # which cannot be read
    done = with_kvm(*NESTED, "--", "sh", "-c", script, env={**os.environ, "GUESTPROOF_OUT": str(tmp_path)})
    assert done.returncode == 1
    assert done.stderr.decode().endswith(f"\ndev: not all that is in {tmp_path} could be brought out.\n")
    assert (tmp_path / "good").read_text() == "x\n"


def test_machine_passes_on_output_while_the_command_runs_and_ends_at_the_time_limit(machine, tmp_path):
    child = subprocess.Popen([DEV, "with-kvm", *NESTED, "--time", "3s", "--", "sh", "-c",
                              "echo kept >$GUESTPROOF_OUT/file; echo early; trap '' TERM; sleep 1000"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "GUESTPROOF_OUT": str(tmp_path)})
    assert child.stdout.readline() == b"early\n"
    assert child.poll() is None
    said = child.communicate(timeout=120)[1]
    assert (child.returncode, said) == (124, b"dev: sh has not ended after 3s.\n")
    assert (tmp_path / "file").read_text() == "kept\n"


def test_machine_that_panics_is_an_error_with_its_last_words(machine):
    done = with_kvm(*NESTED, "--", "sh", "-c", "echo said; echo c >/proc/sysrq-trigger; sleep 1000")
    assert (done.returncode, done.stdout) == (1, b"said\n")
    said = done.stderr.decode()
    assert said.startswith("dev: the nested x86_64 machine has not run the command to its end: it went down by itself.")
    assert "sysrq triggered crash" in said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_machine_ends_with_us(machine, number, tmp_path):
    child = subprocess.Popen([DEV, "with-kvm", *NESTED, "--", "sh", "-c", "echo up; sleep 1000"], stdout=subprocess.PIPE,
                             env={**os.environ, "TMPDIR": str(tmp_path)})
    assert child.stdout.readline() == b"up\n"
    assert _emulators(tmp_path)
    child.send_signal(number)
    child.wait(60)
    deadline = time.monotonic() + 20
    while _emulators(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _emulators(tmp_path)
    assert number == signal.SIGKILL or list(tmp_path.iterdir()) == []


def _emulators(folder: Path) -> list[str]:
    """The processes with that folder on their command lines."""
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and str(folder).encode() in _read(f"/proc/{pid}/cmdline")]


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:
        return b""


@pytest.fixture
def host(copy):
    """A host whose KVM the probe finds good, until its stand-in says otherwise."""
    copy.complain("")
    copy.environment.pop("KVM_REQUIRED", None)
    return copy


@pytest.mark.parametrize("words, sentence", [
    ([], "the following arguments are required: COMMAND (see scripts/dev with-kvm --help)."),
    (["true", "-x"], "unrecognized arguments: -x (see scripts/dev with-kvm --help)."),
    (["--arch", "mips", "--", "true"], "argument --arch: invalid choice: 'mips' (choose from 'x86_64', 'aarch64', 'riscv64')"),
    (["--time", "soon", "--", "true"], "'soon' is not a time; "),
    (["--", "no-such-program"], "there is no program 'no-such-program'."),
    (["--", "/etc/passwd"], "there is no program '/etc/passwd'."),
    (["--arch", "aarch64", "--", "/bin/true"], "/bin/true is a program for x86_64, and --arch is aarch64."),
])
def test_mistakes_get_one_sentence(host, words, sentence):
    done = host.dev("with-kvm", *words)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"dev: {sentence}")
    assert done.stderr.count("\n") == 1


def test_what_is_brought_out_may_not_hide_what_goes_in(host, tmp_path):
    host.environment["GUESTPROOF_OUT"] = str(tmp_path)
    done = host.dev("with-kvm", "--", "true", cwd=host.root)
    assert (done.returncode, done.stderr) == \
        (1, f"dev: GUESTPROOF_OUT is {tmp_path}; the working directory, {host.root}, may not be in it.\n")


def test_a_place_to_bring_things_to_that_is_a_file_is_named(host, tmp_path):
    host.environment["GUESTPROOF_OUT"] = str(tmp_path / "file")
    (tmp_path / "file").touch()
    done = host.dev("with-kvm", "--", "true")
    assert (done.returncode, done.stderr) == \
        (1, f"dev: GUESTPROOF_OUT is {tmp_path}/file, which cannot be made a folder: File exists.\n")


def test_a_working_directory_that_is_gone_is_named(host, tmp_path):
    script = f"mkdir {tmp_path}/gone; cd {tmp_path}/gone; rmdir {tmp_path}/gone; {host.root}/scripts/dev with-kvm -- true"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=host.environment)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == f"dev: the working directory, {tmp_path}/gone, is gone."  # bash complains, too


@pytest.mark.parametrize("script, code", [("exit 0", 0), ("exit 3", 3), ("exit 77", 77), ("kill -ABRT $$", 134)])
def test_a_good_host_runs_the_command_itself(host, script, code):
    done = host.dev("with-kvm", "--", "bash", "-c", f"echo out; echo err >&2; touch $GUESTPROOF_OUT/x || exit 9; {script}")
    assert (done.returncode, done.stdout, done.stderr) == (code, "out\n", "err\n")


def test_the_time_limit_on_the_host_ends_children_too(host, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    dev = subprocess.Popen([host.root / "scripts/dev", "with-kvm", "--time", "1s", "--", "bash", "-c",
                            f"(sleep 1000) >{pipe} & sleep 1000"], env=host.environment, stderr=subprocess.PIPE, text=True)
    assert pipe.read_text() == ""
    assert dev.communicate(timeout=60)[1] == "dev: bash has not ended after 1s.\n"
    assert dev.returncode == 124


def test_without_a_kvm_the_command_is_skipped_or_fails(host):
    host.complain("its guest does not get past int3")
    done = host.dev("with-kvm", "--nested", "never", "--", "true")
    reason = "there is no KVM: its guest does not get past int3, and --nested is never.\n"
    assert (done.returncode, done.stderr) == (77, f"dev: skipped: {reason}")
    for required in ("machine", "1"):
        host.environment["KVM_REQUIRED"] = required
        done = host.dev("with-kvm", "--nested", "never", "--", "true")
        assert (done.returncode, done.stderr) == (1, f"dev: {reason}")


def test_a_missing_emulator_is_named_with_its_package(host):
    host.program("dpkg-query", 'shift 3; for name in "$@"; do [[ $name == qemu-system-arm ]] || echo "installed $name"; done')
    host.program("sudo", 'while [[ $1 == -* ]]; do shift; done; exec "$@"')
    host.program("apt-get", "echo 'E: no network'; exit 100")
    host.program("guest", "")
    done = host.dev("with-kvm", "--arch", "aarch64", *NESTED, "--", "guest")
    assert done.returncode == 77
    assert done.stderr.endswith("dev: skipped: there is no KVM: --nested is always, and no machine can be emulated: "
                                "apt-get could not install qemu-system-arm: no network.\n")


def test_what_a_kill_left_in_the_temporary_folder_is_removed(host, tmp_path):
    left, used, young = (tmp_path / f"guestproof-kvm-{name}" for name in ("left", "used", "young"))
    for folder in (left, used, young):
        (folder / "deep").mkdir(parents=True)
    for folder in (left, used):
        os.utime(folder, (1, 1))
    handle = os.open(used, os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    host.environment["TMPDIR"] = str(tmp_path)
    assert host.dev("with-kvm", "--", "true").returncode == 0
    os.close(handle)
    assert sorted(path.name for path in tmp_path.glob("guestproof-*")) == ["guestproof-kvm-used", "guestproof-kvm-young"]


@pytest.fixture
def mirror(host, tmp_path):
    """A host without kernels, and a mirror that has tiny ones: everything that nested machines load is built in."""
    for each in kernels.ALL:
        for folder in (host.cache / "kernels" / each.name).iterdir():
            folder.rmdir()
    built_in = "".join(f"kernel/{name}.ko\n" for each in kernels.ALL for name in each.modules)
    _package(tmp_path / "debs", "linux-image-7", {"boot/vmlinuz-7": "a kernel", "lib/modules/7/modules.builtin": built_in})
    _package(tmp_path / "debs", "memtest86+", {"boot/memtest86+x64.bin": "a memtest"})
    _package(tmp_path / "debs", "busybox-static", {"bin/busybox": "a busybox"})
    host.program("apt-cache", 'printf "Package: %s\\nVersion: 1:2\\nDepends: linux-image-7 (= 1:2)\\n" "${@: -1}"')
    host.program("apt-get", f"""
        echo "$@" >>"$(dirname "$0")/calls"
        [[ " $* " == *" update "* ]] || cp {tmp_path}/debs/${{@: -1}}_1_all.deb .""")
    return host


def _package(folder: Path, name: str, files: dict[str, str]) -> None:
    for path, text in {"DEBIAN/control": f"Package: {name}\nVersion: 1\nArchitecture: all\nMaintainer: x\nDescription: x\n",
                       **files}.items():
        (folder / name / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / name / path).write_text(text)
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", folder / name, folder / f"{name}_1_all.deb"], check=True,
                   stdout=subprocess.DEVNULL)


def kernels_of(host) -> list[str]:
    return sorted(path.name.rpartition("_")[0] for path in (host.cache / "kernels/x86_64").glob("linux*"))


def fetch(host) -> subprocess.CompletedProcess:
    """Fetches the kernel for x86_64, and ends before a machine is started."""
    host.program("qemu-system-x86_64", "exit 5")
    return host.dev("with-kvm", *NESTED, "--", "true")


def test_kernels_are_downloaded_once(mirror):
    first, second = fetch(mirror), fetch(mirror)
    assert "downloading linux-image-7 and busybox-static" in first.stderr and "downloading" not in second.stderr
    assert second.stderr.startswith("dev: the nested x86_64 machine has not run the command to its end: "
                                    "the emulator ended with 5.")
    assert kernels_of(mirror) == ["linux-image-7_1%2"]
    [folder] = (mirror.cache / "kernels/x86_64").glob("linux*")
    assert {path.name: path.is_dir() or path.read_text() for path in folder.iterdir()} == \
        {"kernel": "a kernel", "busybox": "a busybox", "modules": True}


HANGS_ONCE = """
    share=$(grep -o 'path=[^,]*share' <<<"$*"); share=${share#path=}
    [[ -e $0.called ]] || { touch "$0.called"; LIVES exec sleep 1000; }
    touch "$share/alive" "$share/out/file"; echo out >"$share/stdout"; echo 3 >"$share/code\""""


@pytest.mark.parametrize("lives, limit", [("", "BOOT = 60 "), ('touch "$share/alive";', "HEARTBEAT = 45 ")])
def test_a_machine_that_hangs_before_or_in_the_command_is_replaced(mirror, tmp_path, lives, limit):
    mirror.program("qemu-system-x86_64", HANGS_ONCE.replace("LIVES", lives))
    machine_py = mirror.root / "scripts/guestproof_dev/kvm/machine.py"
    machine_py.write_text(machine_py.read_text().replace(limit, f"{limit.partition(' ')[0]} = 1 "))
    mirror.environment["GUESTPROOF_OUT"] = str(tmp_path / "out")
    done = mirror.dev("with-kvm", *NESTED, "--", "true")
    assert (done.returncode, done.stdout) == (3, "out\n")
    assert done.stderr.endswith("dev: a nested machine has hung; the command is run again in another one.\n")
    assert (tmp_path / "out/file").exists()


def test_a_killed_download_leaves_nothing_that_is_trusted(mirror):
    mirror.program("dpkg-deb", "[[ $2 == *busybox* ]] && kill -KILL $PPID; exec /usr/bin/dpkg-deb \"$@\"")
    assert fetch(mirror).returncode == -signal.SIGKILL
    assert kernels_of(mirror) == []
    assert list((mirror.cache / "kernels/x86_64").glob(".new-*"))
    (mirror.bin / "dpkg-deb").unlink()
    fetch(mirror)
    assert kernels_of(mirror) == ["linux-image-7_1%2"]
    assert list((mirror.cache / "kernels/x86_64").glob(".new-*")) == []


def test_two_at_once_download_once(mirror):
    mirror.program("qemu-system-x86_64", "exit 5")
    both = [subprocess.Popen([mirror.root / "scripts/dev", "with-kvm", *NESTED, "--", "true"], env=mirror.environment,
                             stderr=subprocess.PIPE, text=True) for _ in range(2)]
    said = [each.communicate(timeout=100)[1] for each in both]
    assert sum("downloading linux-image-7" in each for each in said) == 1
    assert (mirror.bin / "calls").read_text().count(" download ") == 2


def test_without_a_network_the_missing_package_is_named(mirror):
    mirror.program("apt-get", "echo 'E: Failed to fetch x: no network' >&2; exit 100")
    done = fetch(mirror)
    assert done.returncode == 77
    assert done.stderr.startswith("dev: skipped: there is no KVM: --nested is always, and no machine can be emulated: cannot "
                                  "get the package linux-image-amd64 (bookworm, amd64, from ")
    assert done.stderr.endswith("): Failed to fetch x: no network.\n")
    assert done.stderr.count("\n") == 1


def test_a_kernel_that_lacks_a_module_is_refused(mirror, tmp_path):
    _package(tmp_path / "debs", "linux-image-7", {"lib/modules/7/modules.builtin": "kernel/fs/9p.ko\n"})
    done = fetch(mirror)
    assert done.returncode == 77
    assert "no machine can be emulated: linux-image-7_1_all.deb has no 9pnet, 9pnet_virtio, ccp, " in done.stderr


def test_setup_looks_for_newer_kernels_and_keeps_what_it_has_without_a_network(mirror, tmp_path):
    for each in kernels.ALL:
        (mirror.cache / "kernels" / each.name / f"linux-image-0_0_{kernels.recipe(each)}").mkdir()
    assert mirror.dev("setup", "kernels").returncode == 0
    assert kernels_of(mirror) == ["linux-image-0_0", "linux-image-7_1%2"]
    mirror.program("apt-get", "echo 'E: no network' >&2; exit 100")
    done = mirror.dev("setup", "kernels")
    assert (done.returncode, done.stdout) == (0, "dev: every package is there.\n")
    assert done.stderr.count("no network. linux-image-7_1%2_") == len(kernels.ALL) - 1
    assert done.stderr.count("no network. memtest86+_1%2_") == 1


def test_lists_and_packages_of_a_release_are_downloaded_once(mirror):
    assert mirror.dev("setup", "kernels").returncode == 0
    assert all(list((mirror.cache / "kernels" / each.name).glob("*_1%2_*")) for each in kernels.ALL)
    releases = {(each.suite, each.debian) for each in kernels.ALL}
    calls = (mirror.bin / "calls").read_text()
    assert len(releases) < len(kernels.ALL)
    assert (calls.count(" update "), calls.count(" download ")) == (len(releases), 2 * len(releases) + 1)  # memtest86+


def test_setup_names_missing_kernels(mirror):
    done = mirror.dev("setup", "--check")
    assert (done.returncode, done.stdout) == \
        (1, "dev: missing kernels: x86_64 aarch64 riscv64 cloud-6.1 amd64-6.1 cloud-6.12 memtest arm64-6.1\n")


def test_a_guest_is_ready_for_the_command(mirror):
    """Its kernel as the package has it, though the machine that is emulated gets an unpacked one."""
    mirror.program("guest", 'cat "$GUESTPROOF_GUEST_CLOUD_6_1/kernel" && test -e "$GUESTPROOF_GUEST_CLOUD_6_1/busybox"')
    done = mirror.dev("with-kvm", "--nested", "never", "--guest", "cloud-6.1", "--", "guest")
    assert (done.returncode, done.stdout) == (0, "a kernel"), done.stderr
    assert "downloading linux-image-7 and busybox-static for cloud-6.1" in done.stderr


def test_without_its_guest_a_command_is_skipped(mirror):
    mirror.program("apt-get", "echo 'E: no network' >&2; exit 100")
    done = mirror.dev("with-kvm", "--nested", "never", "--guest", "cloud-6.12", "--", "true")
    assert done.returncode == 77
    assert done.stderr.startswith("dev: skipped: there is no guest to boot: cannot get the package linux-image-cloud-amd64 (trixie, ")
    mirror.environment["KVM_REQUIRED"] = "machine"
    assert mirror.dev("with-kvm", "--nested", "never", "--guest", "cloud-6.12", "--", "true").returncode == 1


def test_a_guest_that_cannot_be_had_keeps_nothing_else_from_being_prepared(mirror, monkeypatch):
    """It kept the emulated machine from being made ready, under the name of a KVM that was missing."""
    show = (mirror.bin / "apt-cache").read_text().partition("\n")[2]
    mirror.program("apt-cache", f'[[ "${{@: -1}}" != *cloud* ]] || {{ echo "E: No packages found" >&2; exit 100; }}\n{show}')
    mirror.complain("there is no /dev/kvm")
    for name, value in mirror.environment.items():
        monkeypatch.setenv(name, value)
    x86_64, amd64 = architectures.ALL["x86_64"], guests.ALL["amd64-6.1"]
    [problem] = prepare(x86_64, ["cloud-6.1", amd64.name])
    assert problem.startswith("no guest cloud-6.1: cannot get the package linux-image-cloud-amd64 (bookworm, amd64, from ")
    assert problem.endswith("): No packages found.")
    assert kernels.cached(x86_64) and kernels.cached(amd64)


@pytest.mark.parametrize("name, preset", [("cloud-6.1", "release"), ("arm64-6.1", "aarch64")])
def test_a_guest_with_a_shell_is_made_for_a_person(mirror, tmp_path, name, preset):
    done = mirror.dev("guest", name, str(tmp_path / "guest"), cwd=mirror.root)
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"build/{preset}/vmm/guestproof-vmm --kernel path={tmp_path}/guest/kernel " \
                          f"--initrd path={tmp_path}/guest/initrd\n"
    assert (tmp_path / "guest" / "kernel").read_text() == "a kernel"
    assert _archived((tmp_path / "guest" / "initrd").read_bytes()) == \
        ["bin", "dev", "proc", "sys", "modules", "bin/busybox", "init", "TRAILER!!!"]


def _archived(archive: bytes) -> list[str]:
    """The names in it, each behind a header of 110 characters with the lengths of content and name."""
    names, at = [], 0
    while at < len(archive):
        size, length = (int(archive[at + place:at + place + 8], 16) for place in (54, 94))
        names.append(archive[at + 110:at + 110 + length - 1].decode())
        at += (110 + length + 3) // 4 * 4 + (size + 3) // 4 * 4
    return names


@pytest.mark.parametrize("required, code", [("", 0), ("0", 0), ("machine", 0), ("1", 1)])
def test_a_skipped_case_fails_where_all_of_kvm_is_required(skipping, required, code):
    done = subprocess.run([skipping], capture_output=True, text=True, env={**os.environ, "KVM_REQUIRED": required})
    assert done.returncode == code
    assert ("skipped, and KVM_REQUIRED is set" in done.stdout) == bool(code)


@pytest.fixture(scope="module")
def skipping(tmp_path_factory):
    """A program like those of tests/**/*_kvm.cc whose one case is skipped."""
    folder = tmp_path_factory.mktemp("skipping")
    (folder / "skip.cc").write_text("#include <gtest/gtest.h>\nTEST(Case, Skips) { GTEST_SKIP(); }\n")
    subprocess.run(["g++", "-std=c++20", folder / "skip.cc", SCRIPTS.parent / "tests/kvm_main.cc", "-lgtest", "-lpthread",
                    "-o", folder / "skip"], check=True)
    return folder / "skip"


SOURCES = """\
# deb http://commented.example/debian bookworm main
Types: deb-src
URIs: http://sources.example/debian
Suites: bookworm
Components: main

Types: deb
URIs: http://off.example/debian
Suites: bookworm
Components: main
Enabled: no

Types: deb deb-src
# a remark within
uris: http://mirror.example/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Trusted: yes
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 x
"""


@pytest.mark.parametrize("files, found", [
    ({}, {"URIs": "http://deb.debian.org/debian"}),
    ({"sources.list": "deb cdrom:[Debian 12]/ bookworm main\ndeb http://x.example/ubuntu jammy main\n"
                      "deb http://s.example/debian-security bookworm-security main\n"
                      "deb [arch=amd64 signed-by=/k.gpg trusted=yes] https://m.example/debian bookworm main contrib # us\n"},
     {"URIs": "https://m.example/debian", "Signed-By": "/k.gpg"}),
    ({"sources.list.d/debian.sources": SOURCES, "sources.list.d/off.list.disabled": "deb http://no.example stable main\n"},
     {"URIs": "http://mirror.example/debian/", "Signed-By": "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n x"}),
])
def test_the_mirror_is_the_machine_s_own(tmp_path, files, found):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert apt.mirror(tmp_path) == found


def test_apt_is_told_to_use_nothing_of_the_machine_s_state(tmp_path):
    """What apt itself makes of the configuration: every folder that it may write to is the private one."""
    apt.Apt(tmp_path, "riscv64", "trixie", {"URIs": "http://mirror.example/debian", "Signed-By": "/usr/share/keyrings/k.gpg"})
    said = subprocess.run(["apt-config", "-c", tmp_path / "apt.conf", "dump"], capture_output=True, text=True).stdout
    shell = subprocess.run(["apt-config", "-c", tmp_path / "apt.conf", "shell", *"a Dir::State::lists/d b Dir::State::status/f "
                            "c Dir::Cache::archives/d d Dir::Etc::sourceparts/d".split()], capture_output=True, text=True).stdout
    assert [line.split("=")[1].strip("'") for line in shell.splitlines()] == \
        [f"{tmp_path}/lists/", f"{tmp_path}/status", f"{tmp_path}/archives/", f"{tmp_path}/sources/"]
    assert 'APT::Architectures:: "riscv64";' in said and said.count("APT::Architectures::") == 1
    assert "Post-Invoke:: " not in said and "Post-Invoke-Success:: " not in said
    assert (tmp_path / "sources/debian.sources").read_text() == \
        "Types: deb\nURIs: http://mirror.example/debian\nSigned-By: /usr/share/keyrings/k.gpg\nSuites: trixie\nComponents: main\n"
