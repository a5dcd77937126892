"""What this machine runs models on: its NVIDIA GPU, where this platform's packages can use it, or its CPU.

Needs the standard library alone: ``.ci/setup`` asks before any package is there.
"""
