"""Entry point: scripts/dev runs `python3 -m guestproof_dev`."""

import sys

from guestproof_dev.cli import main

sys.exit(main(sys.argv[1:]))
