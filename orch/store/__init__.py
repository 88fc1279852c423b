"""SQLite by apsw; one function, one statement."""
