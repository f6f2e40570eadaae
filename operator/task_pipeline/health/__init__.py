"""Whether the process lives and whether it can do its work, told truly to whoever restarts it."""
