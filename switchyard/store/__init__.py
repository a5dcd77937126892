"""Values that outlive a request and a process: one contract, kept by SQLite on one machine and by Redis for several.

``contract`` ← ``sqlite`` | ``redis`` ← ``opening``
"""
