"""Read what a fuzz binary printed when an input broke it: which kind of finding, where, and in what words.

Two reports with the same signature are the same finding. The signature is made of the top frames of our own code or,
for a violated oracle, of the oracle's name and its sentence with the numbers blanked.
"""

import hashlib
import re
from dataclasses import dataclass, field

from guestproof_dev.paths import ROOT

KINDS = ("crash", "undefined", "oracle", "hang", "leak", "oom", "slow")

_ORACLE = re.compile(r"^guestproof: ORACLE ([\w-]+): (.*)$", re.MULTILINE)
_UNDEFINED = re.compile(r"^\S+:\d+:\d+: runtime error: (.*)$", re.MULTILINE)
_LEAK = re.compile(r"^==\d+==ERROR: LeakSanitizer: (.*)$", re.MULTILINE)
_TOO_BIG = re.compile(r"^==\d+==ERROR: AddressSanitizer: (requested allocation size \S+)", re.MULTILINE)
_SANITIZER = re.compile(r"^==\d+==ERROR: \w+Sanitizer: ([\w-]+)(.*)$", re.MULTILINE)
_LIBFUZZER = re.compile(r"^==\d+== ERROR: libFuzzer: (.*)$", re.MULTILINE)
_INVARIANT = re.compile(r"^(\S+:\d+: invariant broken: .*)$", re.MULTILINE)
_TERMINATED = re.compile(r"^(terminate called .*(?:\n  what\(\):.*)?)$", re.MULTILINE)
_FRAME = re.compile(r"^\s+#(\d+) 0x[0-9a-f]+ in (.+?) (\S+?):(\d+)(?::\d+)?$")
_ANY_FRAME = re.compile(r"^\s+#(\d+) 0x[0-9a-f]+ ")
_NUMBER = re.compile(r"-?(?:0x[0-9a-fA-F]+|\d+)")
# Sources of the compiler's runtime and of the C and C++ libraries.
_FOREIGN = ("/usr/", "/build/", "../", "csu/", "nptl/", "stdlib/", "signal/", "string/", "malloc/", "sysdeps/")


@dataclass(frozen=True)
class Frame:
    function: str
    file: str
    line: int

    def __str__(self):
        return f"{self.function} {self.file}:{self.line}"


@dataclass(frozen=True)
class Report:
    """What one run of one input showed."""

    kind: str
    title: str  # a few words: heap-buffer-overflow, the oracle's name, …
    message: str  # one sentence
    frames: list[Frame] = field(default_factory=list)

    @property
    def signature(self) -> str:
        return "\n".join([self.kind, self.title, *self._place()])

    @property
    def key(self) -> str:
        """The signature, short enough for a folder's name."""
        return hashlib.sha1(self.signature.encode()).hexdigest()[:8]

    def _place(self) -> list[str]:
        if self.kind == "oracle" or not self.frames:
            return [blank_numbers(self.message)]
        if self.kind in ("hang", "slow"):
            # The alarm rings anywhere inside the loop: only the outer frames are the same each time.
            return [frame.function for frame in self.frames[-4:]]
        top, *rest = self.frames[:3]
        return [f"{top.function}:{top.line}", *(frame.function for frame in rest)]


def blank_numbers(sentence: str) -> str:
    return _NUMBER.sub("#", sentence)


def read(log: str) -> Report | None:
    """The finding that a log of a fuzz binary describes; None when it ends without one."""
    for reader in (_oracle, _undefined, _leak, _out_of_memory, _sanitizer, _libfuzzer):
        found = reader(log)
        if found:
            kind, title, message, start = found
            return Report(kind, title, message, our_frames(log[start:]))
    return None


def _oracle(log):
    match = _ORACLE.search(log)
    return match and ("oracle", match[1], match[2].strip(), match.end())


def _undefined(log):
    match = _UNDEFINED.search(log)
    return match and ("undefined", blank_numbers(match[1]), match[1], match.end())


def _leak(log):
    match = _LEAK.search(log)
    if not match:
        return None
    lost = re.search(r"^SUMMARY: AddressSanitizer: (.*)$", log, re.MULTILINE)
    return "leak", "leak", lost[1] if lost else match[1], match.end()


def _out_of_memory(log):
    match = _TOO_BIG.search(log)
    return match and ("oom", "allocation too big", match[1], match.end())


def _sanitizer(log):
    match = _SANITIZER.search(log)
    if not match:
        return None
    access = re.search(r"^(?:READ|WRITE) of size \d+", log[match.end():], re.MULTILINE)
    where = match[2].partition(" (pc")[0].partition(" on address")[0]
    return "crash", match[1], f"{match[1]}, {access[0]}" if access else match[1] + where, match.end()


def _libfuzzer(log):
    match = _LIBFUZZER.search(log)
    if not match:
        return None
    words, start = match[1], match.end()
    if words.startswith("timeout"):
        return "hang", "timeout", words, start
    if words.startswith("out-of-memory"):
        return "oom", "out of memory", words, start
    own = _INVARIANT.search(log) or _TERMINATED.search(log)
    return "crash", words, " ".join(own[1].split()) if own else words, start


def our_frames(log: str) -> list[Frame]:
    """The frames of the first stack in the log that lie in our own sources, innermost first."""
    frames, previous = [], -1
    for line in log.splitlines():
        any_frame = _ANY_FRAME.match(line)
        if not any_frame:
            continue
        if int(any_frame[1]) <= previous:
            break
        previous = int(any_frame[1])
        match = _FRAME.match(line)
        if match and not match[3].startswith(_FOREIGN):
            frames.append(Frame(_plain(match[2]), match[3].removeprefix(f"{ROOT}/"), int(match[4])))
    return frames


def _plain(function: str) -> str:
    """Without the parameter list: its template arguments fill lines and say little."""
    depth = 0
    for index, letter in enumerate(function):
        if letter == "(" and depth == 0 and not function.startswith("(anonymous namespace)", index) \
                and not function.endswith("operator", 0, index):
            return function[:index]
        depth += {"<": 1, ">": -1}.get(letter, 0)
    return function
