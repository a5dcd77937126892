"""The catalog of a cluster, read from its API server; the client library is imported when a process first needs it."""
