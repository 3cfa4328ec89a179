"""The fuzz targets, read from the lines of fuzz/CMakeLists.txt that declare them."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from guestproof_dev.errors import Fail
from guestproof_dev.paths import ROOT

_DECLARATION = re.compile(r"^\s*guestproof_fuzz_target\s*\(([^)]*)\)", re.MULTILINE)
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Target:
    name: str
    source: str  # relative to fuzz/
    subject: tuple[str, ...]  # the folders and files that it is there to cover, relative to the root
    exempt: tuple[str, ...] = ()  # what of these it is not

    def is_to_cover(self, path: str) -> bool:
        return _is_in(path, self.subject) and not _is_in(path, self.exempt)


def _is_in(path: str, places: tuple[str, ...]) -> bool:
    return any(PurePosixPath(path).is_relative_to(place) for place in places)


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
    name, source, *rest = words + [""] * (2 - len(words))
    keyword, *subject = rest or [""]
    cut = subject.index("EXCEPT") if "EXCEPT" in subject else len(subject)
    exempt = subject[cut + 1:]
    if keyword != "SUBJECT" or not subject[:cut] or len(subject) == cut + 1 or not _NAME.fullmatch(name):
        raise Fail(f"fuzz/CMakeLists.txt: 'guestproof_fuzz_target({' '.join(words)})' is not of the form "
                   "guestproof_fuzz_target(NAME SOURCE SUBJECT PATH... [EXCEPT PATH...]).")
    return Target(name, source, tuple(subject[:cut]), tuple(exempt))


def select(names: list[str]) -> list[Target]:
    """The targets of those names, or all of them when none is named."""
    known = {target.name: target for target in load()}
    for name in names:
        if name not in known:
            raise Fail(f"there is no fuzz target '{name}'; the targets are: {', '.join(known) or 'none'}.")
    return [known[name] for name in dict.fromkeys(names)] or list(known.values())
