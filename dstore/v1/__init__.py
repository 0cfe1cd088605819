"""Code generated from ``protos/dstore/v1`` by ``make proto``; never edited by hand."""
