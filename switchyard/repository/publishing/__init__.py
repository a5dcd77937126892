"""The tree that engines read: copies that are judged, and the links to those that are good."""
