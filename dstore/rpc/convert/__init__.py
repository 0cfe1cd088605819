"""Protobuf to core values and back, both directions side by side, one module per group of words.

``x_to_proto`` and ``x_from_proto`` are inverse to each other. ``x_from_proto`` raises ``InvalidRequest`` for what
protobuf allows and dstore does not, so that nothing malformed gets past this package.
"""
