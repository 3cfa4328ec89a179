"""Turn the text form of a scenario back into an input."""

import shutil
import sys
import tempfile
from pathlib import Path

from guestproof_dev import scenario


def add_arguments(parser):
    parser.add_argument("file", type=Path, metavar="FILE", help="the text, as `decode` prints it")
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="write the input there (default: to stdout)")


def main(args) -> int:
    with tempfile.TemporaryDirectory() as folder:
        encoded = Path(folder) / "input"
        scenario.convert("encode", args.file, encoded)
        if args.output:
            args.output.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(encoded, args.output)
        else:
            sys.stdout.buffer.write(encoded.read_bytes())
    return 0
