"""The shell around the core: gathers facts, asks for decisions, carries them out. It decides nothing itself."""
