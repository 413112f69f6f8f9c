"""The embedded server: Label Studio in an environment of its own, on this machine alone."""
