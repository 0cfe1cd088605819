"""The client library: splits, encrypts, streams, verifies and reassembles files. The public face is ``dstore``."""
