"""Faults on a real API server: operators as processes that are killed, stopped, cut off and misled."""
