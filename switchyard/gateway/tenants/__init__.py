"""Who may ask: tenants, their teams and keys, as ``tenants.yaml`` says. The gateway holds hashes, never keys."""
