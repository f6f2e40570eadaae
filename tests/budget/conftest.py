"""The real API server and the operator on it are those of `tests/real`."""

from tests.real.conftest import alone, installed, kubectl, new_operator, operator

__all__ = ["alone", "installed", "kubectl", "new_operator", "operator"]
