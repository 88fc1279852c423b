"""orch: run AI coding agents on tasks, each in its own worktree and tmux session."""

__version__ = "0.1.0"
