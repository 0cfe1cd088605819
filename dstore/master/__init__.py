"""The master: the namespace, the cluster map, and the planners that place chunks.

All state that must survive is in the SQL store (``store/``); what is kept in memory (heartbeats, leases of
writes in progress, a copy of the group map) can be lost at any moment.
"""
