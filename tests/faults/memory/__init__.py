"""The operator in this process, on the fake API server, in virtual time, with faults on its connection."""
