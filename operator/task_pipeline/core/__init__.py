"""Every decision of the product, as functions of facts and the time that they are given.

Rule: no clock, no I/O, no logging; nothing here waits. Whoever needs a cluster to test a decision has put it in the
wrong place.
"""
