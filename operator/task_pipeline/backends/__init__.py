"""Starting, stopping and finding workloads, one module per transport."""
