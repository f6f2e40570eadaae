"""The REST server: a shell around the contract, beside the operator and without any memory of its own.

Rule: whatever matters lies in the API server, so any number of replicas gives the same answers. The routes are one
table (`routes.Route`); what every request has in common (caps, authentication, decoding, problems) is done once in
`app`, and a handler gets a `Call` and gives a `Reply`.
"""
