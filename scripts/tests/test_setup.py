"""Packages are found and installed; apt's troubles become one sentence."""

import pytest

LOG = 'echo "$@" >> "$(dirname "$0")/calls"'


@pytest.fixture
def machine(copy):
    """A machine that lacks python3-pytest until apt-get installs it."""
    copy.program("dpkg-query", """
        shift 3
        for name in "$@"; do
            if [[ $name != python3-pytest || -e $(dirname "$0")/there ]]; then echo "installed $name:amd64"; fi
        done""")
    copy.program("sudo", 'while [[ $1 == -* ]]; do shift; done; exec "$@"')
    copy.program("apt-cache", "exit 0")
    copy.program("apt-get", f"""
        {LOG}
        [[ " $* " != *" install "* ]] || touch "$(dirname "$0")/there" """)
    return copy


def calls(machine) -> list[str]:
    """The verbs apt-get was called with."""
    path = machine.bin / "calls"
    lines = path.read_text().splitlines() if path.exists() else []
    return ["update" if line.endswith(" update") else "install" for line in lines]


def test_check_changes_nothing(machine):
    done = machine.dev("setup", "--check")
    assert (done.returncode, done.stdout) == (1, "dev: missing packages: python3-pytest\n")
    assert machine.dev("setup", "--check", "build").returncode == 0
    assert calls(machine) == []


def test_installs_only_what_is_missing_and_only_once(machine):
    done = machine.dev("setup")
    assert (done.returncode, done.stderr) == (0, "dev: installing python3-pytest\n")
    assert (machine.bin / "calls").read_text().endswith("install -y --no-install-recommends python3-pytest\n")
    assert machine.dev("setup").stderr == ""
    assert calls(machine) == ["install"]


def test_updates_the_lists_when_apt_does_not_know_a_package(machine):
    machine.program("apt-cache", "exit 100")
    assert machine.dev("setup").returncode == 0
    assert calls(machine) == ["update", "install"]


def test_updates_the_lists_when_they_are_out_of_date(machine):
    machine.program("apt-get", f"""
        {LOG}
        case " $* " in
            *" update "*) touch "$(dirname "$0")/updated" ;;
            *) [[ -e $(dirname "$0")/updated ]] || {{ echo "E: Failed to fetch x: 404"; exit 100; }} ;;
        esac""")
    assert machine.dev("setup").returncode == 0
    assert calls(machine) == ["install", "update", "install"]


def test_waits_for_another_package_manager(machine):
    machine.program("apt-cache", "exit 100")
    machine.program("apt-get", f"""
        {LOG}
        [[ $(wc -l < "$(dirname "$0")/calls") -gt 1 ]] ||
            {{ echo "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 1"; exit 100; }}""")
    assert machine.dev("setup").returncode == 0
    assert calls(machine) == ["update", "update", "install"]


def test_failure_is_one_sentence(machine):
    machine.program("apt-get", "echo pmstatus:x:50.0:half; echo 'E: No space left on device.'; echo more; exit 100")
    done = machine.dev("setup")
    assert done.returncode == 1
    assert done.stderr == "dev: installing python3-pytest\n" \
                          "dev: apt-get could not install python3-pytest: No space left on device.\n"
