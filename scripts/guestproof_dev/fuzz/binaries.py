"""Where the programs of a job are, and how they get there."""

from dataclasses import dataclass
from pathlib import Path

from guestproof_dev import targets
from guestproof_dev.build import build
from guestproof_dev.errors import Fail
from guestproof_dev.fuzz.combination import SANITIZERS, Combination
from guestproof_dev.paths import BUILD, CORPUS

SYMBOLIZER = "/usr/bin/llvm-symbolizer-19"


@dataclass(frozen=True)
class Binaries:
    """The build folders and the corpus. Another place than the tree's own is taken as it is: nothing is built there."""

    root: Path = BUILD
    corpus: Path = CORPUS

    @property
    def ours(self) -> bool:
        return self.root == BUILD

    def fuzzer(self, combination: Combination) -> Path:
        return self.root / combination.preset / "fuzz" / f"{combination.target}_fuzz"

    def dictionary(self, target: str) -> Path:
        return self.corpus / target / f"{target}.dict"

    @property
    def mutator(self) -> Path:
        return self.root / "fuzz-afl" / "fuzz" / "libguestproof_afl_mutator.so"

    @property
    def scenario(self) -> Path:
        return self.root / "dev" / "fuzz" / "scenario"

    def inputs(self, target: str) -> list[Path]:
        """The folders of inputs that the tree holds for the target; a job only reads them."""
        kinds = ("seeds", "found", "regressions")
        return [path for path in (self.corpus / target / kind for kind in kinds) if path.is_dir()]

    def targets(self) -> list[str]:
        if self.ours:
            return [target.name for target in targets.load()]
        return sorted({path.name.removesuffix("_fuzz") for path in self.root.glob("*/fuzz/*_fuzz")})

    def select(self, names: list[str]) -> list[str]:
        """The targets of those names, or all of them when none is named."""
        known = self.targets()
        for name in names:
            if name not in known:
                raise Fail(f"there is no fuzz target '{name}'; the targets are: {', '.join(known) or 'none'}.")
        if not known:
            raise Fail(f"{self.root}: there is no fuzz target to run.")
        return list(dict.fromkeys(names)) or known

    def prepare(self, combinations: list[Combination]) -> None:
        """Builds what these combinations and the triage of their findings run."""
        wanted: dict[str, list[str]] = {}
        for combination in combinations:
            wanted.setdefault(combination.preset, []).append(f"{combination.target}_fuzz")
        if "fuzz-afl" in wanted:
            # What AFL++ finds is judged by a binary with a sanitizer.
            names = wanted["fuzz-afl"]
            for sanitizer in SANITIZERS:
                wanted.setdefault(Combination("", "libfuzzer", sanitizer).preset, list(names))
            wanted["fuzz-afl"] = [*names, "guestproof_afl_mutator"]
        for preset, names in sorted(wanted.items()):
            self.build(preset, sorted(set(names)))
        self.build("dev", ["scenario"])
        for combination in combinations:
            if not self.fuzzer(combination).exists():
                raise Fail(f"{self.fuzzer(combination)}: there is no such program; was it built?")

    def build(self, preset: str, names: list[str]) -> None:
        if self.ours:
            build(preset, names)
