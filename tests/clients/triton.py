#!/usr/bin/env python3
"""What Triton's own client, tritonclient[grpc], gets from a server: every check is one row.

    triton.py ADDRESS

The server must serve `clip`, `yolo`, `affine`, `kinds` and `halves` of the repository that
`modules.py` writes, and let models be loaded and unloaded: scripts/clients.sh sees to that.
"""

import sys
import time
import traceback
from importlib.metadata import version

import tritonclient.grpc as triton

# Each adds its checks, in this order. The first one waits until the server is ready; without it the
# others would tell nothing.
import administration  # noqa: F401
import inference  # noqa: F401
import streams  # noqa: F401
from support import ADDRESS, CHECKS


def passes(function):
    """Whether a check passes; its row is printed. Each has a client of its own, for one that fails
    may leave a stream open."""
    name = function.__doc__.splitlines()[0]
    started = time.monotonic()
    why = ""
    try:
        with triton.InferenceServerClient(ADDRESS) as client:
            function(client)
    except Exception:  # any failure is a row, and the next check is run
        why = traceback.format_exc(limit=-4)
    took_ms = (time.monotonic() - started) * 1000
    print(f"{'FAILED' if why else 'ok':<7}{took_ms:6.0f} ms  {name}", flush=True)
    if why:
        print("    " + why.rstrip().replace("\n", "\n    "), flush=True)
    return not why


def main():
    first, *others = CHECKS
    passed = 1 + sum(map(passes, others)) if passes(first) else 0
    print(f"tritonclient {version('tritonclient')}: {passed} of {len(CHECKS)} checks passed")
    sys.exit(0 if passed == len(CHECKS) else 1)


if __name__ == "__main__":
    main()
