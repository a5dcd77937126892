"""Programs for those who work on Switchyard."""
