"""The REST server over HTTP, on the in-memory cluster."""
