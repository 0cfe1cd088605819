"""The REST gateway: files of a cluster over HTTP. It holds keys, so it belongs inside the trust boundary."""
