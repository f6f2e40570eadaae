"""The wire contract: what users write and read, as models, rules and generated schemas.

Rule: pure. Nothing here reads a clock, a file, the environment or the network, so the
operator, the REST server, the command line and the generator all judge an object alike.
"""
