"""Fuzz the targets under all engines and sanitizers, then report.

The time is shared evenly over targets, engines and CPUs. New inputs and crashes go to out/fuzz/RUN, never into the
tree: `scripts/dev corpus add RUN` takes the inputs over. Ctrl-C ends with a report; --resume goes on after a kill.
"""

import argparse
from pathlib import Path


def add_arguments(parser):
    parser.add_argument("--time", metavar="T", help="for the whole job: 90s, 15m, 6h, 1d (default: 15m)")
    parser.add_argument("--target", action="append", default=[], metavar="T", help="only this one; may be repeated")
    parser.add_argument("--engine", choices=["libfuzzer", "afl", "both"], help="(default: both)")
    parser.add_argument("--sanitizer", choices=["address", "undefined", "both"],
                        help="which libFuzzer builds to run (default: both)")
    parser.add_argument("--jobs", type=int, metavar="N", help="workers at a time (default: one for each CPU)")
    parser.add_argument("--seed", type=int, metavar="N", help="where the workers' seeds come from (default: random)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="where runs are kept (default: out/fuzz)")
    parser.add_argument("--resume", metavar="RUN", help="go on with a run: its name, its folder, or `last`; "
                        "with --time, until that much is used")
    parser.add_argument("--list", action="store_true", help="only print the targets")
    # For the tests of this tool: programs and inputs of their own, and less patience.
    parser.add_argument("--binaries", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--corpus", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--unit-timeout", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--full-disk-patience", type=float, help=argparse.SUPPRESS)

def main(args) -> int:
    # Only here: the modules of the package import this one first, and most need only a little of it.
    from guestproof_dev.fuzz import command

    return command.list_targets(args) if args.list else command.fuzz(args)
