"""Where in the repository a model goes, by the names of its files alone; nothing is read."""
