"""The door to the API server: requests, errors, informers. Nothing here decides anything."""
