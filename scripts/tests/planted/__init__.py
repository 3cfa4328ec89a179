"""A fuzz target with planted bugs, and how the tests run the fuzz job on it."""
