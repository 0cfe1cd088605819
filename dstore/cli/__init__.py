"""The ``dstore`` command. It may import everything below; nothing imports it."""
