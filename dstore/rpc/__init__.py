"""The gRPC edge: the only package that knows both protobuf and the values of ``dstore.core``."""
