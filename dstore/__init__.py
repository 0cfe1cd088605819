"""dstore: a secure distributed block store.

Encrypted on the client, replicated in a pipeline, verifiable without keys.
"""

__version__ = "0.1.0"
