"""What keys, limits and usage cost, and whether they hold: at load, with many keys, and when processes are killed."""
