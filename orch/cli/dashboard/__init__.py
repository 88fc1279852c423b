"""`orch dashboard`: a live full-screen view of everything, and keys to act on it."""
