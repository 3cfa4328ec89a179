"""What one worker runs: a target under an engine and, for libFuzzer, a sanitizer."""

from dataclasses import dataclass

SANITIZERS = ("address", "undefined")
ENGINES = ("libfuzzer", "afl")
_SHORT = {"address": "asan", "undefined": "ubsan"}


@dataclass(frozen=True, order=True)
class Combination:
    target: str
    engine: str
    sanitizer: str = ""  # AFL++ runs the binary without one and leaves the judgement to the others

    @property
    def name(self) -> str:
        return f"{self.target}-{self.preset.removeprefix('fuzz-')}"

    @property
    def runner(self) -> str:
        """The engine, in a word."""
        return f"{self.engine}+{_SHORT[self.sanitizer]}" if self.sanitizer else self.engine

    @property
    def preset(self) -> str:
        return f"fuzz-libfuzzer-{_SHORT[self.sanitizer]}" if self.sanitizer else "fuzz-afl"


def combine(targets: list[str], engine: str, sanitizer: str) -> list[Combination]:
    """All combinations asked for; neighbours in the list differ in the target, so that all targets start early."""
    sanitizers = SANITIZERS if sanitizer == "both" else (sanitizer,)
    runners = [("libfuzzer", each) for each in sanitizers] if engine in ("libfuzzer", "both") else []
    runners += [("afl", "")] if engine in ("afl", "both") else []
    return [Combination(target, *runner) for runner in runners for target in targets]


def judges(combination: Combination) -> list[Combination]:
    """What can confirm a finding of that combination, the most talkative first."""
    others = [Combination(combination.target, "libfuzzer", sanitizer) for sanitizer in SANITIZERS]
    return list(dict.fromkeys([combination, *others])) if combination.engine == "libfuzzer" else others
