"""The checkers, by what they are about; `tests.faults.checkers` has the list."""
