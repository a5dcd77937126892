"""Who does what now, told to files, the terminal and the catalog."""
