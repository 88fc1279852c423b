"""A child for supervisors to run: imports what orch's services share, then says when it is ready.

Run as `python child.py FILE`: appends `pid monotonic-seconds` to FILE once it is ready.
"""

import os
import signal
import sys
import time

import apsw
import msgspec
import zmq

import orch.messages

if __name__ == "__main__":
    assert apsw and msgspec and zmq and orch.messages
    with open(sys.argv[1], "a") as file:  # noqa: PTH123 - as few imports as can be
        file.write(f"{os.getpid()} {time.monotonic()}\n")
    signal.pause()
