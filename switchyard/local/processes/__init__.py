"""How a process is started, watched and ended."""
