"""Measurements of dstore beside bare pipelines of the same shape; run as ``python -m benchmarks.NAME``."""

import os

# Read when gRPC is imported; otherwise it tells of every process that is started.
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
