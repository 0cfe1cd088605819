"""Metadata on a transactional SQL store: one interface, one schema, one engine per module."""
