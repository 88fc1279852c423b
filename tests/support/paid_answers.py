"""A claude that is asked one question: what it answers and what that used stand in a folder.

`paid_answers.py FOLDER`: FOLDER/answer is said, FOLDER/used is its `usage` as JSON, of the model
`claude-sonnet-4-5`; with FOLDER/fail it ends with that HTTP status instead.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main(folder: Path) -> None:
    """Hear the question, and answer."""
    sys.stdin.read()
    used = json.loads((folder / "used").read_text())
    failed = (folder / "fail").exists()
    message = {"id": "m", "model": "claude-sonnet-4-5", "usage": used, "content": []}
    result = {
        "subtype": "success", "is_error": failed, "usage": used, "total_cost_usd": 9.0,
        "result": (folder / "answer").read_text(), "modelUsage": {},
    }  # fmt: skip
    if failed:
        result["api_error_status"] = int((folder / "fail").read_text())
    for event in (
        {"type": "system", "subtype": "init", "model": "claude-sonnet-4-5"},
        {"type": "assistant", "message": message},
        {"type": "result", **result},
    ):
        print(json.dumps({**event, "session_id": "s"}))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
