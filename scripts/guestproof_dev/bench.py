"""Run the benchmarks, built with the release preset."""

from guestproof_dev import process
from guestproof_dev.build import build
from guestproof_dev.errors import Fail


def add_arguments(parser):
    parser.add_argument("--filter", metavar="REGEX", help="only benchmarks with a name that matches")


def main(args) -> int:
    program = build("release", ["guestproof_bench"]) / "tests" / "bench" / "guestproof_bench"
    if not program.exists():
        raise Fail(f"{program}: the release preset did not build the benchmarks.")
    chosen = [f"--benchmark_filter={args.filter}"] if args.filter is not None else []
    return 1 if process.run([program, *chosen]) else 0
