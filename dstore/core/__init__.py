"""What every role must agree on: values, errors, limits, interfaces.

Nothing in this package reads a clock, a disk, a socket or a random source; import-linter keeps it so.
"""
