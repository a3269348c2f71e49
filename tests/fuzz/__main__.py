"""The same for as long as you like: `python -m tests.fuzz --minutes 10`."""

import argparse
import random
import sys
import time
import traceback
from collections import Counter

from tests.fuzz.targets import TARGETS_BY_NAME, Target


def main() -> int:
    """Feed every target in turn; return 1 when something broke."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--seed", type=int, help="the seed that a failure told, with --only")
    parser.add_argument("--only", choices=TARGETS_BY_NAME, help="feed this target alone")
    options = parser.parse_args()
    targets = [TARGETS_BY_NAME[options.only]] if options.only else [*TARGETS_BY_NAME.values()]
    if options.seed is not None:
        for target in targets:
            target.run(random.Random(options.seed))
        return 0
    return _feed(targets, options.minutes * 60)


def _feed(targets: list[Target], seconds: float) -> int:
    seed = random.SystemRandom().getrandbits(48)
    until = time.monotonic() + seconds
    fed: Counter[str] = Counter()
    broken: dict[str, str] = {}
    while time.monotonic() < until:
        for target in targets:
            seed += 1
            fed[target.name] += 1
            try:
                target.run(random.Random(seed))
            except Exception as error:
                # The place where it broke stands for the fault: each is told once.
                place = traceback.extract_tb(error.__traceback__)[-1]
                where = f"{place.filename}:{place.lineno} {type(error).__name__}"
                if where not in broken:
                    broken[where] = f"{target.name} --seed {seed}"
                    print(f"BROKEN {where} ({broken[where]}): {str(error)[:300]}", flush=True)
    for name, count in fed.items():
        print(f"{count:9} {name}")
    print(f"{fed.total()} bent bodies, {len(broken)} faults")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
