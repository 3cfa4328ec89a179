"""The conditions under which libFuzzer's programs run an input: the same when they find, confirm and reproduce."""

from guestproof_dev.fuzz.binaries import SYMBOLIZER

# No unit may need more memory than this; the sanitizers' own share is inside the first figure.
MEMORY_LIMIT_MB = 1024
ALLOCATION_LIMIT_MB = 128
# The rule for a unit under a sanitizer; an input that exceeds it each time is a finding.
SLOW_MILLISECONDS = 100

ENVIRONMENT = {
    # A small quarantine keeps the memory limit meaningful on small targets.
    "ASAN_OPTIONS": f"symbolize=1:external_symbolizer_path={SYMBOLIZER}:quarantine_size_mb=64:"
                    "detect_stack_use_after_return=1:strict_string_checks=1",
    "UBSAN_OPTIONS": f"print_stacktrace=1:symbolize=1:external_symbolizer_path={SYMBOLIZER}",
    "LSAN_OPTIONS": f"external_symbolizer_path={SYMBOLIZER}",
}
WITHOUT_SYMBOLS = {name: f"{value}:symbolize=0" for name, value in ENVIRONMENT.items()}
# libFuzzer's own exit codes; any other failure is a crash.
EXIT_KINDS = {70: "timeout", 71: "oom"}


def limits(unit_timeout: int) -> list[str]:
    """What makes one execution a finding; the same flags find and reproduce."""
    return [f"-timeout={unit_timeout}", f"-rss_limit_mb={MEMORY_LIMIT_MB}", f"-malloc_limit_mb={ALLOCATION_LIMIT_MB}"]
