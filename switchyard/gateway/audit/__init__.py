"""Who did what to keys, tenants and models: written to the log, and to the store where there is one."""
