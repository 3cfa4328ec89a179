"""Entry point: scripts/dev runs `python3 -m guestproof_dev`."""

import sys

try:
    from guestproof_dev.cli import main

    sys.exit(main(sys.argv[1:]))
except KeyboardInterrupt:
    sys.exit(130)
