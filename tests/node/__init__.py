"""The whole operator with a real node: what really happens to scripts, signals, images and rollouts."""
