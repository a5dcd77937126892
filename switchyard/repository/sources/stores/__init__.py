"""One module for each kind of store, behind its own library."""
