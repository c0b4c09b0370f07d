"""Runs a command and writes what it used to a file. It is a process of its own, because the peak memory that the kernel tells
of a process is at least what the process had that started it, and that may have a charting package in it.

    measured.py RESULT COMMAND…
"""
import json, os, sys, time

started = time.monotonic()
pid = os.posix_spawnp(sys.argv[2], sys.argv[2:], os.environ)
_, status, usage = os.wait4(pid, 0)
wall = time.monotonic() - started
with open(sys.argv[1], "w") as out:
    json.dump([usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024], out)
sys.exit(os.waitstatus_to_exitcode(status) != 0)
