"""The engine process: decides about tasks; the only writer of orch.db."""
