"""What the platform reads from a cluster's API server. The library for it is imported when a process first asks."""
