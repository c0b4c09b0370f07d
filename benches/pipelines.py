#!/usr/bin/env python3
"""What whole pipelines cost, beside librdkafka alone, in one run against one broker.

    cargo build --release --workspace && benches/pipelines.py [--rounds 3] [--rows 1000000] [--memory] [--delivery] [--monitoring] [--against AQPIPE]

Prints CPU seconds of the client per million records, start-up taken out (the difference between a long and a short
run), and ratios of pairs measured in the same round; medians over the rounds. With --memory, also the peak resident
memory of both pipelines at 100 k and 10 M rows. With --delivery, only what exactly-once costs: records a second of wall
time beside at-least-once, in pairs of one round whose order alternates. With --monitoring, only what it costs to be watched:
CPU with the monitor on, /metrics and /api/status read every second and the page open, beside --no-monitoring. With --against, only this build beside another
binary: CPU seconds per million records, in pairs of one round whose order alternates. Needs Java 17 and Maven, or KAFKA_HOME (see `aqpipe kafka up`).
"""
import pathlib, shutil, statistics, subprocess, sys, threading, urllib.request

import bench
from bench import FILLS, NULL, RANGES, SCORE, WINDOW

MEDIAN = '{ method = "median" }'


def main():
    parser = bench.parser(__doc__, 19092)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--delivery", action="store_true")
    parser.add_argument("--monitoring", action="store_true")
    parser.add_argument("--against", type=pathlib.Path)
    options = parser.parse_args()
    with bench.Bench(options) as home:
        how = against if options.against else monitoring if options.monitoring else delivery if options.delivery else measure
        how(options, home)


def producer(home, name, csv, sink, last=WINDOW, delivery="exactly_once"):
    """From the file to a sink, through all transforms."""
    return home.pipeline(f"bench-{name}", bench.csv_source(csv), bench.impute(FILLS, last), RANGES, SCORE, sink, delivery=delivery)


def to_topic(home, name, csv, topic, last=WINDOW, delivery="exactly_once"):
    return producer(home, name, csv, bench.kafka_sink(home.brokers, topic), last, delivery)


def consumer(home, tag, topic, delivery="exactly_once"):
    """From a topic into CSV files in `out-TAG`."""
    return home.pipeline(f"bench-in-{tag}", bench.kafka_source(home.brokers, topic), RANGES, SCORE,
                         bench.csv_sink(home.work / f"out-{tag}"), delivery=delivery)


def files(options, home):
    """A long file and a short one, by their rows."""
    return {rows: bench.write_csv(home.work / f"{rows}.csv", rows) for rows in (options.rows // 10, options.rows)}


def slope(used, name, kind="cpu"):
    """What a million records more use, of what a long run used and a short one."""
    (short, few), (long, many) = sorted((rows, getattr(usage, kind)) for (key, rows), usage in used.items() if key == name)
    return (many - few) / (long - short) * 1e6


def told(values):
    return f"(min {min(values):.2f}, max {max(values):.2f})"


def measure(options, home):
    csv = files(options, home)
    lines = home.work / "lines.json"
    text = producer(home, "lines", csv[min(csv)], '[sink]\ntype = "stdout"\n', delivery="at_least_once")
    pump = home.aqpipe.with_name("pump")
    with open(lines, "wb") as out:
        subprocess.run([str(home.aqpipe), "run", str(text)], stdout=out, check=True, stderr=subprocess.DEVNULL)
    figures = {}

    def note(name, value):
        figures.setdefault(name, []).append(value)

    for round in range(options.rounds):
        used = {}
        for rows in sorted(csv):
            tag = f"{round}-{rows}"
            topic = make(home, f"pump-{tag}")
            used["pump out", rows] = home.measure([pump, "out", "--brokers", home.brokers, "--topic", topic, "--lines", lines, "--count", rows])
            for name, last in (("out", WINDOW), ("out with the survey", MEDIAN)):
                topic = f"{name.replace(' ', '-')}-{tag}"
                used[name, rows] = home.run(to_topic(home, topic, csv[rows], topic, last), options=())
            used["pump in", rows] = home.measure([pump, "in", "--brokers", home.brokers, "--topic", f"out-{tag}", "--count", rows])
            used["in", rows] = home.run(consumer(home, tag, f"out-{tag}"), options=())
            written = sum(sum(1 for _ in open(path)) - 1 for path in (home.work / f"out-{tag}").glob("*.csv"))
            if written != rows:
                sys.exit(f"{written} of {rows} records arrived")
            shutil.rmtree(home.work / f"out-{tag}")
        for name in ("pump out", "out", "out with the survey", "pump in", "in"):
            note(name, slope(used, name))
        note("out / pump", figures["out"][-1] / figures["pump out"][-1])
        note("in / pump", figures["in"][-1] / figures["pump in"][-1])
        for name in ("pump out", "out", "pump in", "in"):
            note(f"{name}: k records/s wall", 1e3 / slope(used, name, "wall"))
    for name, values in figures.items():
        unit = "" if "/" in name else " CPU s per million"
        print(f"{name:28} {statistics.median(values):8.2f}{unit}   {told(values)}")
    if options.memory:
        memory(home)


def delivery(options, home):
    """Records a second with exactly-once and without, start-up taken out, and their ratio."""
    csv = files(options, home)
    ratios = {"out": [], "in": []}
    for round in range(options.rounds):
        rate = {}
        both = ["exactly_once", "at_least_once"]
        for how in both if round % 2 == 0 else reversed(both):
            used = {}
            for rows in sorted(csv):
                tag = f"{how}-{round}-{rows}"
                used["out", rows] = home.run(to_topic(home, tag, csv[rows], tag, delivery=how), options=())
                used["in", rows] = home.run(consumer(home, tag, tag, how), options=())
                shutil.rmtree(home.work / f"out-{tag}")
            for name in ("out", "in"):
                rate[name, how] = 1e3 / slope(used, name, "wall")
        for name in ("out", "in"):
            once, least = rate[name, "exactly_once"], rate[name, "at_least_once"]
            ratios[name].append(once / least)
            print(f"round {round}, {name}: {once:.0f} k records/s exactly-once, {least:.0f} k at-least-once, {once / least:.2f}")
    for name, values in ratios.items():
        print(f"{name}: ratio {statistics.median(values):.2f}   {told(values)}")


class Watcher:
    """Reads what a Prometheus and a person with the page open would read, once a second, until it is closed."""

    def __init__(self, address):
        self.address, self.closed, self.answers = address, threading.Event(), 0
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.scrape, self.listen)]
        for thread in self.threads:
            thread.start()

    def scrape(self):
        while not self.closed.wait(1.0):
            for path in ("/metrics", "/api/status"):
                try:
                    urllib.request.urlopen(f"http://{self.address}{path}", timeout=5).read()
                    self.answers += 1
                except OSError:
                    pass

    def listen(self):
        while not self.closed.wait(0.1):
            try:
                with urllib.request.urlopen(f"http://{self.address}/api/events", timeout=5) as stream:
                    while not self.closed.is_set() and stream.readline():
                        pass
            except OSError:
                pass

    def close(self):
        self.closed.set()
        for thread in self.threads:
            thread.join()


def monitoring(options, home):
    """CPU of a pipeline that is watched, and of the same one with --no-monitoring, start-up taken out, and their ratio."""
    csv = files(options, home)
    address = f"127.0.0.1:{options.port + 10}"
    for rows in csv:
        home.run(to_topic(home, f"topic-{rows}", csv[rows], f"topic-{rows}"), options=())
    cpu, answers = {}, 0
    ways = {"watched": ["--http", address], "unwatched": ["--no-monitoring"]}
    for round in range(options.rounds):
        for which in ways if round % 2 == 0 else reversed(ways):
            used = {}
            for rows in sorted(csv):
                tag = f"{which}-{round}-{rows}"
                paths = {"file to null": producer(home, f"null-{tag}", csv[rows], NULL, delivery="at_least_once"),
                         "Kafka to CSV": consumer(home, tag, f"topic-{rows}")}
                for name, path in paths.items():
                    watcher = Watcher(address) if which == "watched" else None
                    used[name, rows] = home.run(path, options=ways[which])
                    if watcher:
                        watcher.close()
                        answers += watcher.answers
                shutil.rmtree(home.work / f"out-{tag}")
            for name in {name for name, _ in used}:
                cpu.setdefault(name, {}).setdefault(which, []).append(slope(used, name))
    if answers == 0:
        sys.exit("nobody watched: the runs were too short")
    compare(cpu, "watched", "unwatched", "CPU s per million watched, {:.2f} unwatched")
    print(f"{answers} answers to those who watched")


def compare(cpu, one, other, words):
    """Prints two ways beside each other, for each pipeline: medians, their ratio, and the ratios of pairs."""
    for name, values in sorted(cpu.items()):
        ratios = [first / second for first, second in zip(values[one], values[other])]
        first, second = (statistics.median(values[which]) for which in (one, other))
        print(f"{name:20} {first:.2f} {words.format(second)}; ratio of medians {first / second:.3f}, "
              f"of pairs {statistics.median(ratios):.3f} {told(ratios)}")


def against(options, home):
    """CPU of this build and of another one, start-up taken out, and their ratio."""
    csv = files(options, home)
    binaries = {"this": home.aqpipe, "other": options.against.absolute()}
    cpu = {}
    for round in range(options.rounds):
        for which in binaries if round % 2 == 0 else reversed(binaries):
            used = {}
            for rows in sorted(csv):
                tag = f"{which}-{round}-{rows}"
                paths = {"file to null": producer(home, f"null-{tag}", csv[rows], NULL, delivery="at_least_once"),
                         "out, at least once": to_topic(home, f"alo-{tag}", csv[rows], f"alo-{tag}", delivery="at_least_once"),
                         "out, exactly once": to_topic(home, f"eo-{tag}", csv[rows], f"eo-{tag}"),
                         "Kafka to CSV": consumer(home, tag, f"eo-{tag}")}
                for name, path in paths.items():
                    used[name, rows] = home.run(path, aqpipe=binaries[which], options=())
                shutil.rmtree(home.work / f"out-{tag}")
            for name in {name for name, _ in used}:
                cpu.setdefault(name, {}).setdefault(which, []).append(slope(used, name))
    compare(cpu, "this", "other", "CPU s per million, the other {:.2f}")


def make(home, topic):
    """Creates a topic of one partition, as the pipelines do for theirs."""
    none = bench.write_csv(home.work / "none.csv", 0)
    home.run(to_topic(home, f"make-{topic}", none, topic, '{ method = "median", window = 5 }'), options=())
    return topic


def memory(home):
    peaks = {}
    for rows in (100_000, 10_000_000):
        csv = bench.write_csv(home.work / "memory.csv", rows)
        topic = f"memory-{rows}"
        peaks["out", rows] = home.run(to_topic(home, topic, csv, topic), options=()).memory
        peaks["in", rows] = home.run(consumer(home, topic, topic), options=()).memory
        shutil.rmtree(home.work / f"out-{topic}")
    for name in ("out", "in"):
        few, many = peaks[name, 100_000], peaks[name, 10_000_000]
        print(f"{name}: peak memory {few:.0f} MiB at 100 k rows, {many:.0f} MiB at 10 M rows, ratio {many / few:.2f}")


if __name__ == "__main__":
    main()
