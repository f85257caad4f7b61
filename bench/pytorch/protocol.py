"""The line protocol by which the runner keeps this process alive and lets it work only in its turn.

The runner writes `step K`; the answer is one JSON line with the milliseconds of each of the K calls and the
processor time they took together. Between turns the process is blocked in a read and uses no processor.
`check` answers with whatever the script can prove about itself. `quit` or end of input ends it.
"""
import json
import os
import sys
import time

import torch


def number(name, default):
    """A size from the environment, of the default's type."""
    return type(default)(os.environ.get(name, default))


def serve(work, check=None):
    """Announces itself, then calls work() as often as it is told to, until the input ends."""
    answer = lambda **facts: print(json.dumps(facts), flush=True)
    answer(ready=True, torch=torch.__version__, threads=torch.get_num_threads(), pid=os.getpid())
    for line in sys.stdin:
        words = line.split()
        if not words or words[0] == "quit":
            break
        if words[0] == "check" and check is not None:
            answer(**check())
        elif words[0] == "step" and len(words) == 2:
            milliseconds, cpu = [], time.process_time()
            for _ in range(int(words[1])):
                start = time.perf_counter()
                work()
                milliseconds.append((time.perf_counter() - start) * 1000)
            answer(ms=milliseconds, cpuMs=(time.process_time() - cpu) * 1000)
        else:
            answer(error=f"unknown request {line.strip()!r}; expected 'step K', 'check' or 'quit'")
