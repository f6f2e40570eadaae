"""Job kinds: one file each, with the params it takes, what it launches and how it judges what it launched.

Rule: pure. A kind reads no clock, no file and no network, knows no other kind, and answers the same question
the same way every time. What several kinds share stands in the modules whose names begin with an underscore.
"""
