"""The chunkserver: keeps encrypted chunks on one disk, relays writes along the chain, serves ranges.

It needs no key, and nothing in this package can import one (Invariant 11).
"""
