"""The client processes, one for each system under test, so that memory and CPU of each are its own.

``python -m benchmarks.clients NAME SETTINGS`` runs one. It reads one request in JSON a line from standard input, does
the work, and answers with one line of JSON; it ends when its input ends.
"""
