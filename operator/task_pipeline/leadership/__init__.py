"""Which replica works: a Lease opens the write gate of one, the others stand by with a warm Store."""
