"""Deterministic simulation: the real master, chunkservers and clients in one process, on virtual time.

One seed decides everything: delays, faults, what clients do. The same seed gives the same run, event by event.
``python -m simulation --seed 1 --seeds 1000`` runs seeds; see docs/testing.md.
"""
