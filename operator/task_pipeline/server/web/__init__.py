"""The web pages of the server: what runs, why something waits, what failed, what it printed.

Rule: a page shows what REST would tell the same caller, by the same code, and writes through the same actions. It works
without scripts; the scripts add what is live. No text of a user is ever put into a page but by Jinja2's escaping.
"""
