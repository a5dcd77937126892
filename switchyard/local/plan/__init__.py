"""Plans: rendered documents turned into workloads, without side effects."""
