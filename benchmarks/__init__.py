"""Measurements of dstore beside bare pipelines of the same shape; run as ``python -m benchmarks.NAME``."""
