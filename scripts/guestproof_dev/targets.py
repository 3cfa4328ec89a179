"""The fuzz targets, read from the lines of fuzz/CMakeLists.txt that declare them."""

import re
from dataclasses import dataclass

from guestproof_dev.errors import Fail
from guestproof_dev.paths import ROOT

_DECLARATION = re.compile(r"^\s*guestproof_fuzz_target\s*\(([^)]*)\)", re.MULTILINE)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Target:
    name: str
    source: str  # relative to fuzz/
    subject: str  # the folder or file it exercises, relative to the root


def load(root=ROOT) -> list[Target]:
    listing = root / "fuzz" / "CMakeLists.txt"
    try:
        text = listing.read_text()
    except OSError as error:
        raise Fail(f"{listing}: cannot read the list of fuzz targets: {error.strerror}.") from error
    code = re.sub(r"#.*", "", text)
    found = [_parse(match.group(1).split()) for match in _DECLARATION.finditer(code)]
    names = [target.name for target in found]
    for name in names:
        if names.count(name) > 1:
            raise Fail(f"{listing}: the fuzz target {name} is declared {names.count(name)} times.")
    return found


def _parse(words: list[str]) -> Target:
    if len(words) != 4 or words[2] != "SUBJECT" or not _NAME.fullmatch(words[0]):
        raise Fail(f"fuzz/CMakeLists.txt: 'guestproof_fuzz_target({' '.join(words)})' is not of the form "
                   "guestproof_fuzz_target(NAME SOURCE SUBJECT PATH).")
    return Target(words[0], words[1], words[3])


def select(names: list[str]) -> list[Target]:
    """The targets of those names, or all of them when none is named."""
    known = {target.name: target for target in load()}
    for name in names:
        if name not in known:
            raise Fail(f"there is no fuzz target '{name}'; the targets are: {', '.join(known) or 'none'}.")
    return [known[name] for name in dict.fromkeys(names)] or list(known.values())
