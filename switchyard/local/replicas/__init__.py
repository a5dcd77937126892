"""The life of each workload."""
