"""Print an input of the fuzz targets as text."""

import sys
from pathlib import Path

from guestproof_dev import scenario
from guestproof_dev.fuzz import atomic


def add_arguments(parser):
    parser.add_argument("file", type=Path, metavar="FILE", help="an input: a seed, a find, a crash")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="write the text there")


def main(args) -> int:
    text = scenario.convert("decode", args.file, None)
    if args.output:
        atomic.write(args.output, text)
    else:
        sys.stdout.buffer.write(text)
    return 0
