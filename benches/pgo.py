#!/usr/bin/env python3
"""Builds aqpipe by profile-guided optimization, trained on the two pipelines that ship.

    benches/pgo.py [--rows 500000]

Builds aqpipe with counters, runs pipelines/producer.toml over generated rows into a Kafka of its own and pipelines/consumer.toml
from there, and builds aqpipe again by what was counted: target/pgo/release/aqpipe. To see what it gains, beside a usual build:

    benches/pipelines.py --aqpipe target/pgo/release/aqpipe --against target/release/aqpipe --rounds 7

Needs `llvm-profdata` of the LLVM that rustc has (`rustc -vV`): rustup's component llvm-tools, or Debian's package llvm-NN.
"""
import os, pathlib, re, shutil, subprocess, sys

import bench


def main():
    parser = bench.parser(__doc__, 39097)
    parser.add_argument("--rows", type=int, default=500_000)
    options = parser.parse_args()
    profdata = find_profdata()
    counts = bench.ROOT / "target/pgo-counts"
    shutil.rmtree(counts, ignore_errors=True)
    options.aqpipe = build("pgo-train", f"-Cprofile-generate={counts}")
    with bench.Bench(options) as home:
        train(home, bench.write_csv(home.work / "rows.csv", options.rows))
    merged = counts / "merged.profdata"
    subprocess.run([profdata, "merge", "-o", merged, *counts.glob("*.profraw")], check=True)
    print(build("pgo", f"-Cprofile-use={merged}"))


def find_profdata():
    """The tool that merges counters: it has to be of rustc's own LLVM."""
    about = subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout
    major = re.search(r"LLVM version: (\d+)", about)[1]
    root = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True).stdout.strip()
    candidates = [*pathlib.Path(root).glob("lib/rustlib/*/bin/llvm-profdata"), shutil.which(f"llvm-profdata-{major}")]
    found = next((path for path in candidates if path), None)
    return found or sys.exit(f"no llvm-profdata: `rustup component add llvm-tools`, or `apt-get install llvm-{major}`")


def build(name, flags):
    """A release build in a directory of its own."""
    target = bench.ROOT / "target" / name
    # With a target named, build scripts and macros are built as usual.
    host = re.search(r"host: (.+)", subprocess.run(["rustc", "-vV"], capture_output=True, text=True, check=True).stdout)[1]
    command = ["cargo", "build", "--release", "--package", "aqpipe", "--target", host]
    subprocess.run(command, check=True, cwd=bench.ROOT, env={**os.environ, "RUSTFLAGS": flags, "CARGO_TARGET_DIR": str(target)})
    built = target / "release/aqpipe"
    built.parent.mkdir(exist_ok=True)
    shutil.copy2(target / host / "release/aqpipe", built)
    return built


def train(home, rows):
    """Both pipelines, as they ship but for the places."""
    topic = home.topic("trained", partitions=3)
    both = {"name": "train-{}", "state_dir": home.work / "state", "dead_letter.dir": home.work / "dead-{}"}
    out = {"source.path": rows, "sink.brokers": home.brokers, "sink.topic": topic}
    back = {"source.brokers": home.brokers, "source.topics": f'["{topic}"]', "source.group": "train", "sink.dir": home.work / "files"}
    for which, places, options in (("producer", out, ()), ("consumer", back, ("--until-end",))):
        words = [word for key, value in (both | places).items() for word in ("--set", f"{key}={str(value).format(which)}")]
        print(home.run(bench.ROOT / f"pipelines/{which}.toml", options=("--no-monitoring", *options, *words)))


if __name__ == "__main__":
    main()
