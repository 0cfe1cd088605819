"""The real machine: time, randomness, locks, processes and the side port."""
