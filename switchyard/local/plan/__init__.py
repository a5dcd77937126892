"""What would run: rendered documents turned into workloads, without side effects."""
