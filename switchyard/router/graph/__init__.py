"""What a graph says, and what is wrong with it."""
