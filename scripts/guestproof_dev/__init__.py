"""The package behind scripts/dev; `scripts/dev NAME` runs the module of that name."""
