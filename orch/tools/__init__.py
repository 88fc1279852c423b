"""The only doors to the outside; each raises, none guesses."""
