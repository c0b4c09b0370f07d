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
import argparse, os, pathlib, resource, shutil, statistics, subprocess, sys, tempfile, threading, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
AQPIPE = ROOT / "target/release/aqpipe"
PUMP = ROOT / "target/release/pump"
FIELDS = ["CO(GT)", "PT08.S1(CO)", "NMHC(GT)", "C6H6(GT)", "PT08.S2(NMHC)", "NOx(GT)", "PT08.S3(NOx)", "NO2(GT)",
          "PT08.S4(NO2)", "PT08.S5(O3)", "T", "RH", "AH"]
LIST = "[" + ", ".join(f'"{f}"' for f in FIELDS) + "]"

PRODUCER = """
name = "bench-out-{tag}"
delivery = "{delivery}"
state_dir = "{dir}/state"
[source]
type = "csv"
path = "{csv}"
delimiter = ";"
decimal = ","
missing = [-200]
timestamp = {{ columns = ["Date", "Time"], format = "%d/%m/%Y %H.%M.%S" }}
timezone = "+01:00"
key = {{ name = "station", value = "uci" }}
fields = {fields}
[[transform]]
type = "impute"
steps = [{{ method = "forward_fill", limit = 3 }}, {{ method = "backward_fill", limit = 3 }}, {last}]
[[transform]]
type = "range_check"
[transform.ranges]
"CO(GT)" = {{ min = 0.0, max = 50.0 }}
"NOx(GT)" = {{ min = 0.0, max = 1000.0 }}
"C6H6(GT)" = {{ min = 0.0, max = 100.0 }}
"T" = {{ min = -20.0, max = 50.0 }}
"RH" = {{ min = 0.0, max = 100.0 }}
[[transform]]
type = "score"
{sink}
"""
KAFKA_SINK = """
[sink]
type = "kafka"
brokers = "{brokers}"
topic = "{topic}"
compression = "lz4"
create_topic = {{ partitions = 1, replication = 1 }}
"""
CONSUMER = """
name = "bench-in-{tag}"
delivery = "{delivery}"
state_dir = "{dir}/state"
[source]
type = "kafka"
brokers = "{brokers}"
topics = ["{topic}"]
until_end = true
key = "station"
fields = {fields}
[[transform]]
type = "range_check"
[transform.ranges]
"CO(GT)" = {{ min = 0.0, max = 50.0 }}
"NOx(GT)" = {{ min = 0.0, max = 1000.0 }}
"C6H6(GT)" = {{ min = 0.0, max = 100.0 }}
"T" = {{ min = -20.0, max = 50.0 }}
"RH" = {{ min = 0.0, max = 100.0 }}
[[transform]]
type = "score"
[sink]
type = "csv"
dir = "{dir}/out-{tag}"
batch_size = 10000
"""


def run(command, timeout=900):
    """CPU seconds, wall seconds and peak memory (MiB) of one process."""
    started = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    log = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"failed: {' '.join(map(str, command))}\n{log.decode()}")
    return usage.ru_utime + usage.ru_stime, time.monotonic() - started, usage.ru_maxrss / 1024


def write_csv(path, rows):
    """A row a minute with the gaps of a real network: a tenth of the cells, in runs, and one field nearly always."""
    state = 12345
    with open(path, "w", newline="") as out:
        out.write(";".join(["Date", "Time"] + FIELDS) + ";;\r\n")
        gap = [0] * len(FIELDS)
        for i in range(rows):
            when = time.gmtime(1078941600 + i * 60)
            cells = []
            for j in range(len(FIELDS)):
                state = (state * 1103515245 + 12345) & 0x7FFFFFFF
                if gap[j] == 0 and state % 100 < 3:
                    gap[j] = state // 100 % 6 + 1
                if gap[j] > 0:
                    gap[j] -= 1
                    cells.append("-200")
                elif j in (0, 3, 10, 11):
                    cells.append(f"{state // 1000 % 500 / 10:.1f}".replace(".", ","))
                elif j == 12:
                    cells.append(f"{state // 1000 % 20000 / 10000:.4f}".replace(".", ","))
                else:
                    cells.append(str(state // 1000 % 1400))
            out.write(time.strftime("%d/%m/%Y;%H.%M.%S;", when) + ";".join(cells) + ";;\r\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--port", type=int, default=39092)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--delivery", action="store_true")
    parser.add_argument("--monitoring", action="store_true")
    parser.add_argument("--against", type=pathlib.Path)
    options = parser.parse_args()
    work = pathlib.Path(tempfile.mkdtemp(prefix="aqpipe-bench-"))
    brokers = f"127.0.0.1:{options.port}"
    kafka = [AQPIPE, "kafka", "up", "--dir", work / "kafka", "--port", options.port]
    subprocess.run([str(word) for word in kafka], check=True)
    try:
        how = against if options.against else monitoring if options.monitoring else delivery if options.delivery else measure
        how(options, work, brokers)
    finally:
        subprocess.run([str(AQPIPE), "kafka", "down", "--dir", str(work / "kafka")])
        shutil.rmtree(work)


def pipeline(work, name, text):
    path = work / f"{name}.toml"
    path.write_text(text)
    return path


def measure(options, work, brokers):
    long, short = options.rows, options.rows // 10
    csv = {rows: work / f"{rows}.csv" for rows in (long, short)}
    for rows, path in csv.items():
        write_csv(path, rows)
    median = '{ method = "median" }'
    window = '{ method = "median", window = 1000 }'
    lines = work / "lines.json"
    text = PRODUCER.format(delivery="at_least_once", tag="lines", dir=work, csv=csv[short], fields=LIST, last=window,
                           sink='[sink]\ntype = "stdout"\n')
    with open(lines, "wb") as out:
        subprocess.run([str(AQPIPE), "run", str(pipeline(work, "lines", text))], stdout=out, check=True,
                       stderr=subprocess.DEVNULL)
    figures = {}

    def note(name, cpu):
        figures.setdefault(name, []).append(cpu)

    for round in range(options.rounds):
        cpu = {}
        for rows in (short, long):
            tag = f"{round}-{rows}"
            cpu["pump out", rows] = run([PUMP, "out", "--brokers", brokers, "--topic", make(brokers, work, f"pump-{tag}"),
                                         "--lines", lines, "--count", rows])
            for name, last in (("out", window), ("out with the survey", median)):
                topic = f"{name.replace(' ', '-')}-{tag}"
                text = PRODUCER.format(delivery="exactly_once", tag=topic, dir=work, csv=csv[rows], fields=LIST, last=last,
                                       sink=KAFKA_SINK.format(brokers=brokers, topic=topic))
                cpu[name, rows] = run([AQPIPE, "run", pipeline(work, topic, text)])
            cpu["pump in", rows] = run([PUMP, "in", "--brokers", brokers, "--topic", f"out-{tag}", "--count", rows])
            text = CONSUMER.format(delivery="exactly_once", tag=tag, dir=work, brokers=brokers, topic=f"out-{tag}", fields=LIST)
            cpu["in", rows] = run([AQPIPE, "run", pipeline(work, f"in-{tag}", text)])
            written = sum(1 for path in (work / f"out-{tag}").glob("*.csv") for _ in open(path)) - len(
                list((work / f"out-{tag}").glob("*.csv")))
            if written != rows:
                sys.exit(f"{written} of {rows} records arrived")
            shutil.rmtree(work / f"out-{tag}")
        for name in ("pump out", "out", "out with the survey", "pump in", "in"):
            note(name, (cpu[name, long][0] - cpu[name, short][0]) / (long - short) * 1e6)
        note("out / pump", figures["out"][-1] / figures["pump out"][-1])
        note("in / pump", figures["in"][-1] / figures["pump in"][-1])
        for name in ("pump out", "out", "pump in", "in"):
            note(f"{name}: k records/s wall", (long - short) / (cpu[name, long][1] - cpu[name, short][1]) / 1e3)
    for name, values in figures.items():
        unit = "" if "/" in name else " CPU s per million"
        print(f"{name:28} {statistics.median(values):8.2f}{unit}   (min {min(values):.2f}, max {max(values):.2f})")
    if options.memory:
        memory(work, brokers)


def delivery(options, work, brokers):
    """Records a second with exactly-once and without, start-up taken out, and their ratio."""
    long, short = options.rows, options.rows // 10
    csv = {rows: work / f"{rows}.csv" for rows in (long, short)}
    for rows, path in csv.items():
        write_csv(path, rows)
    window = '{ method = "median", window = 1000 }'
    ratios = {"out": [], "in": []}
    for round in range(options.rounds):
        rate = {}
        both = ["exactly_once", "at_least_once"]
        for how in both if round % 2 == 0 else reversed(both):
            wall = {}
            for rows in (short, long):
                tag = f"{how}-{round}-{rows}"
                text = PRODUCER.format(delivery=how, tag=tag, dir=work, csv=csv[rows], fields=LIST, last=window,
                                       sink=KAFKA_SINK.format(brokers=brokers, topic=tag))
                wall["out", rows] = run([AQPIPE, "run", pipeline(work, f"out-{tag}", text)])[1]
                text = CONSUMER.format(delivery=how, tag=tag, dir=work, brokers=brokers, topic=tag, fields=LIST)
                wall["in", rows] = run([AQPIPE, "run", pipeline(work, f"in-{tag}", text)])[1]
                shutil.rmtree(work / f"out-{tag}")
            for name in ("out", "in"):
                rate[name, how] = (long - short) / (wall[name, long] - wall[name, short]) / 1e3
        for name in ("out", "in"):
            once, least = rate[name, "exactly_once"], rate[name, "at_least_once"]
            ratios[name].append(once / least)
            print(f"round {round}, {name}: {once:.0f} k records/s exactly-once, {least:.0f} k at-least-once, {once / least:.2f}")
    for name, values in ratios.items():
        print(f"{name}: ratio {statistics.median(values):.2f}   (min {min(values):.2f}, max {max(values):.2f})")


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


def monitoring(options, work, brokers):
    """CPU of a pipeline that is watched, and of the same one with --no-monitoring, start-up taken out, and their ratio."""
    long, short = options.rows, options.rows // 10
    csv = {rows: work / f"{rows}.csv" for rows in (long, short)}
    for rows, path in csv.items():
        write_csv(path, rows)
    window = '{ method = "median", window = 1000 }'
    address = f"127.0.0.1:{options.port + 10}"
    for rows in (short, long):
        text = PRODUCER.format(delivery="exactly_once", tag=f"topic-{rows}", dir=work, csv=csv[rows], fields=LIST, last=window,
                               sink=KAFKA_SINK.format(brokers=brokers, topic=f"topic-{rows}"))
        run([AQPIPE, "run", pipeline(work, f"topic-{rows}", text)])
    cpu, answers = {}, 0
    ways = {"watched": ["--http", address], "unwatched": ["--no-monitoring"]}
    for round in range(options.rounds):
        for which in ways if round % 2 == 0 else reversed(ways):
            used = {}
            for rows in (short, long):
                tag = f"{which}-{round}-{rows}"
                texts = {
                    "file to null": PRODUCER.format(delivery="at_least_once", tag=tag, dir=work, csv=csv[rows], fields=LIST,
                                                    last=window, sink='[sink]\ntype = "null"\n'),
                    "Kafka to CSV": CONSUMER.format(delivery="exactly_once", tag=tag, dir=work, brokers=brokers,
                                                    topic=f"topic-{rows}", fields=LIST),
                }
                for name, text in texts.items():
                    watcher = Watcher(address) if which == "watched" else None
                    path = pipeline(work, f"{name.replace(' ', '-')}-{tag}", text)
                    used[name, rows] = run([AQPIPE, "run", path] + ways[which])[0]
                    if watcher:
                        watcher.close()
                        answers += watcher.answers
                shutil.rmtree(work / f"out-{tag}")
            for name in {name for name, _ in used}:
                cpu.setdefault(name, {}).setdefault(which, []).append((used[name, long] - used[name, short]) / (long - short) * 1e6)
    if answers == 0:
        sys.exit("nobody watched: the runs were too short")
    for name, values in sorted(cpu.items()):
        ratios = [watched / unwatched for watched, unwatched in zip(values["watched"], values["unwatched"])]
        watched, unwatched = (statistics.median(values[which]) for which in ways)
        print(f"{name:20} {watched:.2f} CPU s per million watched, {unwatched:.2f} unwatched; ratio of medians {watched / unwatched:.3f}, "
              f"of pairs {statistics.median(ratios):.3f} (min {min(ratios):.2f}, max {max(ratios):.2f})")
    print(f"{answers} answers to those who watched")


def against(options, work, brokers):
    """CPU of this build and of another one, start-up taken out, and their ratio."""
    long, short = options.rows, options.rows // 10
    csv = {rows: work / f"{rows}.csv" for rows in (long, short)}
    for rows, path in csv.items():
        write_csv(path, rows)
    window = '{ method = "median", window = 1000 }'
    binaries = {"this": AQPIPE, "other": options.against}
    cpu = {}
    for round in range(options.rounds):
        for which in binaries if round % 2 == 0 else reversed(binaries):
            used = {}
            for rows in (short, long):
                tag = f"{which}-{round}-{rows}"
                def once(name, text):
                    used[name, rows] = run([binaries[which], "run", pipeline(work, f"{name.replace(' ', '-')}-{tag}", text)])[0]
                def out(how, sink, name):
                    return PRODUCER.format(delivery=how, tag=f"{name}-{tag}", dir=work, csv=csv[rows], fields=LIST, last=window, sink=sink)
                def topic(name):
                    return KAFKA_SINK.format(brokers=brokers, topic=f"{name}-{tag}")
                once("file to null", out("at_least_once", '[sink]\ntype = "null"\n', "null"))
                once("out, at least once", out("at_least_once", topic("alo"), "alo"))
                once("out, exactly once", out("exactly_once", topic("eo"), "eo"))
                once("Kafka to CSV", CONSUMER.format(delivery="exactly_once", tag=tag, dir=work, brokers=brokers,
                                                     topic=f"eo-{tag}", fields=LIST))
                shutil.rmtree(work / f"out-{tag}")
            for name in {name for name, _ in used}:
                cpu.setdefault(name, {}).setdefault(which, []).append((used[name, long] - used[name, short]) / (long - short) * 1e6)
    for name, values in sorted(cpu.items()):
        ratios = [this / other for this, other in zip(values["this"], values["other"])]
        this, other = (statistics.median(values[which]) for which in ("this", "other"))
        print(f"{name:20} {this:.2f} CPU s per million, the other {other:.2f}; ratio of medians {this / other:.3f}, "
              f"of pairs {statistics.median(ratios):.3f} (min {min(ratios):.2f}, max {max(ratios):.2f})")


def make(brokers, work, topic):
    """Creates a topic of one partition, as the pipelines do for theirs."""
    text = PRODUCER.format(delivery="exactly_once", tag=f"make-{topic}", dir=work, csv=work / "none.csv", fields=LIST, last='{ method = "median", window = 5 }',
                           sink=KAFKA_SINK.format(brokers=brokers, topic=topic))
    write_csv(work / "none.csv", 0)
    run([AQPIPE, "run", pipeline(work, f"make-{topic}", text)])
    return topic


def memory(work, brokers):
    window = '{ method = "median", window = 1000 }'
    peaks = {}
    for rows in (100_000, 10_000_000):
        csv = work / "memory.csv"
        write_csv(csv, rows)
        topic = f"memory-{rows}"
        text = PRODUCER.format(delivery="exactly_once", tag=topic, dir=work, csv=csv, fields=LIST, last=window,
                               sink=KAFKA_SINK.format(brokers=brokers, topic=topic))
        peaks["out", rows] = run([AQPIPE, "run", pipeline(work, topic, text)])[2]
        text = CONSUMER.format(delivery="exactly_once", tag=topic, dir=work, brokers=brokers, topic=topic, fields=LIST)
        peaks["in", rows] = run([AQPIPE, "run", pipeline(work, f"in-{topic}", text)])[2]
        shutil.rmtree(work / f"out-{topic}")
    for name in ("out", "in"):
        few, many = peaks[name, 100_000], peaks[name, 10_000_000]
        print(f"{name}: peak memory {few:.0f} MiB at 100 k rows, {many:.0f} MiB at 10 M rows, ratio {many / few:.2f}")


if __name__ == "__main__":
    main()
