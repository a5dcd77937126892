"""The learned score of a prompt: features, forest, and the files that hold them."""
