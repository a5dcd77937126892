"""The state of every process, for files, the terminal and the catalog."""
