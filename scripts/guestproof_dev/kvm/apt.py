"""Debian packages of any release and architecture, downloaded and not installed.

apt-get runs with sources, lists and caches of its own: the machine's state is neither used nor touched. The mirror and
the key that signs it are those of the machine's /etc/apt, as are proxies and the like (apt.conf.d); a release that the
key does not sign is refused.
"""

import os
import re
import subprocess
from pathlib import Path

from guestproof_dev.errors import Fail

ETC = Path("/etc/apt")
DEFAULT = {"URIs": "http://deb.debian.org/debian"}
_RELEASES = {"bullseye", "bookworm", "trixie", "forky", "oldoldstable", "oldstable", "stable", "testing", "unstable", "sid"}
_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>[^#]*)")


def mirror(etc: Path = ETC) -> dict[str, str]:
    """URIs, and Signed-By where it is given, of the first source in that folder that is a Debian release."""
    listed = [etc / "sources.list", *sorted((etc / "sources.list.d").glob("*"))]
    for path in listed:
        for source in _read(path):
            if {"deb"} <= set(source["Types"].split()) and _RELEASES & set(source["Suites"].split()) \
                    and "main" in source["Components"].split() and not source["URIs"].startswith("cdrom:") \
                    and source["Enabled"].lower() not in ("no", "false"):
                return {key: source[key] for key in ("URIs", "Signed-By") if source[key]}
    return DEFAULT


def _read(path: Path) -> list[dict[str, str]]:
    if path.suffix not in (".list", ".sources") or not path.is_file():
        return []
    text = path.read_text(errors="replace")
    return _stanzas(text) if path.suffix == ".sources" else _lines(text)


def _lines(text: str) -> list[dict[str, str]]:
    sources = []
    for line in text.splitlines():
        match = _ONE_LINE.match(line.strip())
        if match:
            options = dict(option.split("=", 1) for option in (match["options"] or "").split() if "=" in option)
            sources.append({"Types": "deb", "URIs": match["uri"], "Suites": match["suite"], "Enabled": "yes",
                            "Components": match["components"], "Signed-By": options.get("signed-by", "")})
    return sources


def _stanzas(text: str) -> list[dict[str, str]]:
    """deb822: `Key: value`, more lines of it indented, an empty line between sources. A value keeps its line breaks."""
    sources = []
    text = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict.fromkeys(("Types", "URIs", "Suites", "Components", "Signed-By"), "") | {"Enabled": "yes"}
        for match in re.finditer(r"^([\w-]+):((?:.*)(?:\n[ \t].*)*)", stanza, re.MULTILINE):
            fields[next((key for key in fields if key.lower() == match[1].lower()), match[1])] = match[2].strip(" \t")
        sources.append(fields)
    return sources


class Apt:
    """One release for one architecture; `folder` holds all its state."""

    def __init__(self, folder: Path, architecture: str, suite: str, source: dict[str, str]):
        self._folder, self._architecture, self._suite, self._source = folder, architecture, suite, source
        for name in ("lists/partial", "archives/partial", "sources"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        fields = {"Types": "deb", **source, "Suites": suite, "Components": "main"}
        (folder / "sources" / "debian.sources").write_text("".join(f"{key}: {text}\n" for key, text in fields.items()))
        self._downloaded: dict[str, Path] = {}
        self._configuration = folder / "apt.conf"
        self._configuration.write_text(_CONFIGURATION.format(folder=folder, architecture=architecture))

    def update(self, package: str) -> None:
        """Gets the package lists, for the sake of that package."""
        self._run(package, "apt-get", "update", "--error-on=any")

    def kernel_of(self, package: str) -> str:
        """The package with the kernel itself, which `linux-image-ARCHITECTURE` depends on."""
        if not package.startswith("linux-image-"):
            return package
        said = self._show(package)
        match = re.search(r"^Depends: (linux-image-[^ ,]+)", said, re.MULTILINE)
        if not match:
            raise Fail(f"{self._where(package)} depends on no kernel.")
        return match[1]

    def version(self, package: str) -> str:
        match = re.search(r"^Version: (\S+)", self._show(package), re.MULTILINE)
        if not match:
            raise Fail(f"{self._where(package)} has no version.")
        return match[1]

    def download(self, package: str) -> Path:
        """The package's file in that folder; it is downloaded once."""
        if package not in self._downloaded:
            self._downloaded[package] = self._download(package)
        return self._downloaded[package]

    def _download(self, package: str) -> Path:
        into = self._folder / package
        into.mkdir(exist_ok=True)
        self._run(package, "apt-get", "download", package, cwd=into)
        found = list(into.glob("*.deb"))
        if len(found) != 1:
            raise Fail(f"apt-get download has left {len(found)} files of {self._where(package)}.")
        return found[0]

    def _show(self, package: str) -> str:
        return self._run(package, "apt-cache", "show", "--no-all-versions", package)

    def _where(self, package: str) -> str:
        return f"the package {package} ({self._suite}, {self._architecture}, from {self._source['URIs']})"

    def _run(self, package: str, program: str, *words: str, cwd: Path | None = None) -> str:
        what = f"cannot get {self._where(package)}"
        try:
            done = subprocess.run(["setpriv", "--pdeathsig", "KILL", "--", program, "-q", "-c", self._configuration, *words],
                                  cwd=cwd, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
                                  env={**os.environ, "LC_ALL": "C"})
        except FileNotFoundError as error:
            raise Fail(f"{what}: there is no {error.filename}.") from None
        if done.returncode != 0:
            said = [line.partition(" ")[2] for line in done.stderr.splitlines() if line.startswith(("E:", "W:"))]
            raise Fail(f"{what}: {(said or [f'{program} ended with exit code {done.returncode}'])[0].rstrip('.')}.")
        return done.stdout


# Read after the machine's own configuration, of which the hooks are taken away: they would tell the machine of an update.
_CONFIGURATION = """\
Dir::State "{folder}";
Dir::State::lists "{folder}/lists";
Dir::State::status "{folder}/status";
Dir::Cache "{folder}";
Dir::Cache::archives "{folder}/archives";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "{folder}/sources";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
APT::Architecture "{architecture}";
#clear APT::Architectures;
APT::Architectures {{ "{architecture}"; }};
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear DPkg::Pre-Invoke;
#clear DPkg::Post-Invoke;
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
"""
