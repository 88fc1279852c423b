"""Where sessions run, behind one narrow interface."""
