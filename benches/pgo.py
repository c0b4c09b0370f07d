#!/usr/bin/env python3
"""Builds aqpipe by a profile of what it does: both shipped pipelines over a million rows, exactly-once, against a Kafka of its own.

    benches/pgo.py [--rows 1000000]

Builds with counters, runs, and builds again by what was counted; the binary is target/pgo/release/aqpipe. What that gains:
`benches/shipped.py --aqpipe target/pgo/release/aqpipe --against ordinary=target/release/aqpipe`. Needs `llvm-profdata` of the LLVM that rustc has:
`rustup component add llvm-tools`, or Debian's `llvm-22`; and Java 17 and Maven, or KAFKA_HOME (see `aqpipe kafka up`).
"""
import os, pathlib, re, shutil, subprocess, sys

import bench, shipped

HOME = bench.ROOT / "target/pgo"
PROFILE = HOME / "profile"


def main():
    parser = bench.parser(__doc__, 19792, binary=False)
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    version = subprocess.run(["rustc", "-vV"], check=True, capture_output=True, text=True).stdout
    merge = profdata(version)
    host = re.search(r"host: (\S+)", version)[1]
    shutil.rmtree(PROFILE, ignore_errors=True)
    options.aqpipe = build(host, "counting", f"-Cprofile-generate={PROFILE}/raw")
    with bench.Bench(options) as home:
        train(home, options.rows)
    subprocess.run([merge, "merge", "-o", PROFILE / "merged", PROFILE / "raw"], check=True)
    built = build(host, "optimised", f"-Cprofile-use={PROFILE}/merged")
    result = HOME / "release/aqpipe"
    result.parent.mkdir(exist_ok=True)
    shutil.copy(built, result)
    print(result.relative_to(bench.ROOT))


def profdata(version):
    """The tool that joins profiles, of the LLVM that rustc has: another one cannot read them."""
    major = re.search(r"LLVM version: (\d+)", version)[1]
    sysroot = subprocess.run(["rustc", "--print", "sysroot"], check=True, capture_output=True, text=True).stdout.strip()
    installed = [str(path) for path in pathlib.Path(sysroot).glob("lib/rustlib/*/bin/llvm-profdata")]
    for name in installed + [f"llvm-profdata-{major}", "llvm-profdata"]:
        path = shutil.which(name)
        if path and f"version {major}." in subprocess.run([path, "--version"], capture_output=True, text=True).stdout:
            return path
    sys.exit(f"no llvm-profdata of LLVM {major}: `rustup component add llvm-tools`, or Debian's `llvm-{major}`")


def build(host, name, flags):
    """A release build with these flags. `--target` keeps them from build scripts and macros."""
    target = HOME / name
    print(f"building: {name}", flush=True)
    environment = dict(os.environ, RUSTFLAGS=flags, CARGO_TARGET_DIR=str(target))
    command = ["cargo", "build", "--release", "--locked", "--quiet", "--package", "aqpipe", "--target", host]
    subprocess.run(command, check=True, cwd=bench.ROOT, env=environment)
    return target / host / "release/aqpipe"


def train(home, rows):
    os.environ["KAFKA_BROKERS"] = home.brokers
    csv = bench.write_csv(home.work / "rows.csv", rows)
    home.measure([home.aqpipe, "run", *shipped.producer(home, "train", csv)])
    home.measure([home.aqpipe, "run", *shipped.consumer(home, "train", "train")])


if __name__ == "__main__":
    main()
