"""From scores to a tier: rules, affinity of conversations, share of traffic, shadow traffic."""
