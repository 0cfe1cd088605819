"""The systems under test, behind one interface: dstore, its peers, and what the machine gives by itself."""
