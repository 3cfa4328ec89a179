"""Output for people: colours where rich and a terminal are there, plain text otherwise."""

import shutil
import sys


def progress(text: str) -> None:
    """Replaces the last line of a terminal; says nothing elsewhere."""
    if sys.stderr.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\x1b[K{text[:width]}", end="", file=sys.stderr, flush=True)


def verdict(good: bool, text: str) -> None:
    word, colour = ("ok", "green") if good else ("failed", "red")
    console = _console()
    if console:
        console.print(f"{word:<7}", style=colour, end="", highlight=False)
    else:
        print(f"{word:<7}", end="")
    print(text, flush=True)


def _console():
    if not sys.stdout.isatty():
        return None
    try:
        from rich.console import Console
    except ImportError:
        return None
    return Console()
