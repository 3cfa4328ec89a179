"""The static checks of `scripts/dev check`; each module's run(tree) returns its problems, one sentence each."""
