#!/usr/bin/env python3
"""What both shipped pipelines cost, exactly-once and start-up included, beside kcat and a bare librdkafka with the same bytes.

    benches/shipped.py [--aqpipe BIN] [--against NAME=BIN]… [--data FILE] [--rounds 5] [--rows 1000000] [--write]

Out: pipelines/producer.toml beside `kcat -P`, which sends the same records, idempotent and compressed in the same way. In:
pipelines/consumer.toml with `batch_size = 10000` beside the pump (src/main.rs), which reads them and does nothing. One after the other, in
rounds whose order alternates, after one that does not count; ratios are of pairs of one round, with the aims beside them.
--data    the rows of this file again and again, such as AirQualityUCI.csv, instead of generated ones
--against beside another binary, under a name
--write   puts the table into README.md
Needs kcat (Debian's package `kcat`), and Java 17 and Maven, or KAFKA_HOME (see `aqpipe kafka up`).
"""
import itertools, os, pathlib, shutil, statistics, subprocess, sys

import bench

AIMS = {"out": 1.2, "in": 2.0}
BARE = {"out": "kcat", "in": "pump"}


def main():
    parser = bench.parser(__doc__, 19692)
    parser.add_argument("--against", action="append", default=[], type=binary, metavar="NAME=BIN")
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    if not shutil.which("kcat"):
        sys.exit("kcat is missing: Debian's package `kcat`")
    bench.need("confluent_kafka")
    # Topics that were deleted leave at once: memory that is touched for the first time costs more on a virtual machine.
    with bench.Bench(options, properties=["file.delete.delay.ms=0"]) as home:
        text = report(measure(home, options), options)
    print(text)
    if options.write:
        bench.write_section("shipped", f"{bench.setting(options, command(options))}\n\n{text}")


def binary(text):
    name, _, path = text.partition("=")
    return name, pathlib.Path(path).absolute()


def command(options):
    words = [f"--against {name}=…" for name, _ in options.against]
    words += [f"--data {options.data.name}"] if options.data else []
    return " ".join(["benches/shipped.py", *words, f"--rounds {options.rounds}", f"--rows {options.rows}"])


def producer(home, tag, csv):
    """Words behind `run`: the file into a topic of this name."""
    return [bench.ROOT / "pipelines/producer.toml", *own(home, f"out-{tag}"), "--set", f"source.path={csv}", "--set", f"sink.topic={tag}"]


def consumer(home, tag, topic):
    """Words behind `run`: the topic, to its end, into files of 10,000 records."""
    return ["--until-end", bench.ROOT / "pipelines/consumer.toml", *own(home, f"in-{tag}"), "--set", f'source.topics=["{topic}"]',
            "--set", f"source.group={tag}", "--set", f"sink.dir={home.work}/in-{tag}/files", "--set", "sink.batch_size=10000"]


def own(home, name):
    """A name and a directory for one run, so that no run goes on where another one ended."""
    place = home.work / name
    place.mkdir()
    settings = {"name": name, "state_dir": place / "state", "dead_letter.dir": place / "dead", "log.file": place / "log"}
    return ["--no-monitoring", *(word for key, value in settings.items() for word in ("--set", f"{key}={value}"))]


def input_file(home, options):
    if options.data is None:
        return bench.write_csv(home.work / "rows.csv", options.rows)
    head, *rows = options.data.read_text(encoding="latin-1").splitlines()
    rows = [row for row in rows if row.strip(";")]
    path = home.work / "rows.csv"
    with open(path, "w", encoding="latin-1") as out:
        out.writelines(f"{row}\n" for row in [head, *itertools.islice(itertools.cycle(rows), options.rows)])
    return path


def measure(home, options):
    """What each command used, by direction and name, for each round."""
    os.environ["KAFKA_BROKERS"] = home.brokers
    csv = input_file(home, options)
    binaries = {"aqpipe": home.aqpipe} | dict(options.against)
    pump = next((path for path in (binary.with_name("pump") for binary in binaries.values()) if path.exists()), None)
    if pump is None:
        sys.exit("no `pump` beside a binary: cargo build --release --workspace")
    home.measure([home.aqpipe, "run", *producer(home, "records", csv)])
    lines = home.work / "lines"
    with open(lines, "wb") as out:
        read = ["kcat", "-C", "-b", home.brokers, "-t", "records", "-e", "-q", "-o", "beginning", "-K", "\t"]
        subprocess.run([*read, "-X", "isolation.level=read_committed"], stdout=out, check=True)
    used = {}
    for round in range(options.rounds + 1):
        jobs, topics = {}, [f"kcat-{round}"]
        for name, binary in binaries.items():
            tag = f"{name}-{round}"
            topics.append(tag)
            jobs["out", name] = [binary, "run", *producer(home, tag, csv)]
            jobs["in", name] = [binary, "run", *consumer(home, tag, "records")]
        home.topic(topics[0], 3)
        jobs["out", "kcat"] = ["kcat", "-P", "-b", home.brokers, "-t", topics[0], "-K", "\t", "-l", lines, "-X", "enable.idempotence=true",
                               "-X", "acks=all", "-X", "compression.codec=lz4", "-X", "linger.ms=5"]
        jobs["in", "pump"] = [pump, "in", "--brokers", home.brokers, "--topic", "records", "--count", options.rows]
        for key in jobs if round % 2 == 0 else reversed(jobs):
            # What earlier runs and the broker wrote is not written to the disk at the cost of this one.
            os.sync()
            used.setdefault(key, []).append(home.measure(jobs[key]))
            for place in home.work.glob("in-*/files"):
                shutil.rmtree(place)
        for deleted in home.admin().delete_topics(topics).values():
            deleted.result(30)
    return {key: runs[1:] for key, runs in used.items()}


def report(used, options):
    rows = []
    for way, bare in BARE.items():
        for name in ("aqpipe", *dict(options.against), bare):
            runs = used[way, name]
            cpu = [run.cpu / options.rows * 1e6 for run in runs]
            wall, memory = (statistics.median(getattr(run, kind) for run in runs) for kind in ("wall", "memory"))
            beside, aim = "", ""
            if name != bare:
                ratios = [run.cpu / other.cpu for run, other in zip(runs, used[way, bare])]
                beside, aim = f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})", AIMS[way]
                beside = f"**{beside}**" if statistics.median(ratios) > aim else beside
            spread = f"{statistics.median(cpu):.2f} ({min(cpu):.2f} to {max(cpu):.2f})"
            rows.append([f"{way}: {name}", spread, f"{wall:.2f}", f"{memory:.0f}", beside, aim])
    return bench.table([f"{options.rows:,} records", "CPU s a million", "wall s", "MiB", "CPU beside kcat or the pump", "aim"], rows)


if __name__ == "__main__":
    main()
