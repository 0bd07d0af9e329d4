# SPDX-License-Identifier: BSD-3-Clause
"""Child process of the fuzzer: ``worker KIND FIRST END FOLDER``.

For every case it prints ``begin N`` and then one JSON line. A crash, a hang or a
memory explosion of the reader is one of this process, seen by its parent.
"""

from __future__ import annotations

import json
import resource
import sys
import time
import warnings
import zlib
from pathlib import Path

import numpy as np

from benchmarks.torture.subjects import SUBJECTS
from export.errors import UserError

LONGEST_LINE = 2000


def judge(read, path: Path) -> tuple[bool, str, str]:  # type: ignore[no-untyped-def]
    """(survived, outcome, detail) of one file."""
    try:
        read(path)
    except UserError as error:
        text = str(error)
        if len(text.splitlines()) != 1 or not text.isprintable():
            return False, "an error of several lines", repr(text[:300])
        if len(text) > LONGEST_LINE:
            return False, "an error of thousands of characters", text[:300]
        return True, f"one line of {type(error).__name__}", ""
    except BaseException as error:  # whatever else is a defect
        return False, type(error).__name__, repr(error)[:300]
    return True, "accepted: valid", ""


def main() -> None:
    kind, first, end = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    warnings.simplefilter("ignore")
    subject = SUBJECTS[kind]
    seeds = subject.seeds()
    path = Path(sys.argv[4]) / f"f{subject.suffix}"
    for number in range(first, end):
        random = np.random.default_rng([zlib.crc32(kind.encode()), number])
        damage, data = subject.mutate(seeds, random)
        path.write_bytes(data)
        print("begin", number, damage.replace(" ", "_"), flush=True)
        started = time.process_time()
        survived, outcome, detail = judge(subject.read, path)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
        record = {
            "number": number,
            "damage": damage,
            "survived": survived,
            "outcome": outcome,
            "detail": detail,
            "cpu_seconds": time.process_time() - started,
            "peak_mb": peak,
        }
        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
