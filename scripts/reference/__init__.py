"""Pages of docs/reference, made of docstrings, protos, the grammar of the command, and the OpenAPI document.

``python -m scripts.reference`` writes them, ``--check`` only compares.
"""
