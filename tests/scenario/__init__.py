"""The whole operator in one process with an in-memory cluster, under virtual time: hours cost milliseconds."""
