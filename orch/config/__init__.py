"""Configuration: its schema and its loader."""
