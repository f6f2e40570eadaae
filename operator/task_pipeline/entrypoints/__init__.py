"""The programs: each module puts the parts together and starts them, and decides nothing itself."""
