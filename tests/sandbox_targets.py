"""Functions that test_sandbox.py runs in a limited child."""

import os
import sys
import time
from pathlib import Path


def double(value):
    return value * 2


def refuse_odd(number):
    if number % 2:
        raise ValueError(f"{number} is odd")
    return number


def print_something(_):
    print("noise on stdout", flush=True)
    return "said"


def fill_memory(_):
    kept = []
    while True:
        kept.append(bytearray(8 << 20))


def spin(_):
    while True:
        pass


def sleep(_):
    time.sleep(60)


def die(_):
    sys.stderr.write("farewell\n")
    sys.stderr.flush()
    os._exit(3)


def write_file(path):
    Path(path).write_bytes(b"x" * 4096)


def environment(_):
    return dict(os.environ)
