"""The exact response cache: what equal requests are, what may be kept of them, and how it is found again."""
