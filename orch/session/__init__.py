"""The session process: owns the agent's process for one attempt."""
