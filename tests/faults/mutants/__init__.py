"""Bugs put into a copy of the operator, to show that the harness finds such bugs."""
