"""How the operator grows with the cluster: curves of memory, CPU and time on a real API server. `make scale`."""
