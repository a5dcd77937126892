"""Local mode: one machine without a cluster. Renders an overlay, plans processes from it and supervises them.

It knows only rendered documents and processes, never a manifest path, a predictor or the gateway's code.
"""
