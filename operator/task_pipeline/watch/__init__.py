"""The kopf shell: the only package, beside the entry points, that knows kopf."""
