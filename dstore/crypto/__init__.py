"""What only clients do: encrypt, decrypt, wrap and seal. Formats: docs/format.md.

No server can import this package (see the contracts in pyproject.toml). Randomness is always an argument.
"""
