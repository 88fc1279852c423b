"""One file per agent CLI, pure: how to start it and how to read what it said."""
