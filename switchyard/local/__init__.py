"""One machine without a cluster: renders an overlay, plans processes from it and supervises them.

It knows rendered documents and processes only, never a manifest path, a predictor or the gateway's code.
"""
