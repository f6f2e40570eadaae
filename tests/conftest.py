"""What all suites share: the fixtures of the local cluster."""

pytest_plugins = ["tests.cluster.fixtures"]
