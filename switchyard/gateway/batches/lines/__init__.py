"""The lines of batches: what they ask, how they are asked, and what became of them."""
