"""Values that outlive a request and a process: one contract, implemented by SQLite (one machine) and Redis (several).

``contract`` ← ``sqlite`` | ``redis`` ← ``factory``
"""
