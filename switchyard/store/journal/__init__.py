"""A journal that is only added to, and forgets what is old."""
