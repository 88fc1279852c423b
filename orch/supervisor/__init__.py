"""orchd: starts, watches and restarts the processes; knows nothing about tasks."""
