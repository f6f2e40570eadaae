"""The HTTP runner: sends the requests of HTTP jobs. It has no Kubernetes credential and trusts neither end."""
