"""The long-lived processes; nobody imports them, they never import each other."""
