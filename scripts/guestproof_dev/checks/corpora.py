"""Each corpus is under 1 MB; what was found bears the name of its content, and nothing is there twice."""

from pathlib import Path

from guestproof_dev.checks.tree import Tree
from guestproof_dev.fuzz.pool import content_name

LIMIT = 1 << 20  # bytes: what everybody clones, and every test replays


def run(tree: Tree) -> list[str]:
    targets = sorted({path.parts[1] for path in tree.files if path.parts[0] == "corpus" and len(path.parts) > 2})
    return [problem for target in targets for problem in check(tree.root / "corpus", target)]


def check(corpus: Path, target: str) -> list[str]:
    """What is wrong with one target's."""
    fixed = [path for folder in ("seeds", "regressions") for path in _files(corpus / target / folder)]
    found = _files(corpus / target / "found")
    known, problems = {path.read_bytes(): path for path in reversed(fixed)}, []
    for path in found:
        content, name = path.read_bytes(), f"corpus/{path.relative_to(corpus)}"
        if path.name != content_name(content):
            problems.append(f"{name}: is not named by its content; `scripts/dev corpus add` does that.")
        if content in known:
            problems.append(f"{name}: is {known[content].relative_to(corpus)} once more; `scripts/dev corpus minimise` drops it.")
        known.setdefault(content, path)
    size = sum(path.stat().st_size for path in fixed + found)
    if size > LIMIT:
        problems.append(f"corpus/{target}: {size} bytes are too many; the limit is {LIMIT}; `scripts/dev corpus minimise` "
                        "makes them fewer.")
    return problems


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
