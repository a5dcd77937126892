"""The stages of a call, one module each; no stage knows the next."""
