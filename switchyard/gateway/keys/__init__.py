"""Keys that are made while gateways run, in the store, beside those of ``tenants.yaml``."""
