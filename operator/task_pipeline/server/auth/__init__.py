"""Who calls, and what that caller may do: credentials, tokens, service accounts, limits and the audit log."""
