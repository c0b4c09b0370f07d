#!/usr/bin/env python3
"""What those feel who wait: starts, latency, and processes that have nothing to do.

    benches/live.py [--aqpipe BIN] [--against BIN] [--only starts|latency|idle]… [--rounds 5] [--write]

starts    wall seconds of a run of 100 records that ends by itself, into Kafka and out of it, with and without exactly-once; with
          --against beside another binary, in rounds whose order alternates
latency   from the call that sends a record to a Kafka topic until a reader of the output sees it, at 1, 100 and 10,000 records a
          second, and the share of a core; the sender waits 5 ms for company, as aqpipe's own does not
idle      1 and 100 pipelines in one process, whose topics are quiet: the share of a core, memory, descriptors and threads. First
          under a limit of 1024 descriptors, as `ulimit -n 1024` sets it; where that is too few, without

--write puts the tables into README.md. Takes some 8 minutes. Needs what growth.py needs.
"""
import multiprocessing, os, pathlib, statistics, subprocess, sys, time

import bench

RATES = {1: 30, 100: 10, 10_000: 10}
# The first records meet connections that are being made.
LEFT_OUT_SECONDS = 0.5
IDLE_SECONDS = 10


def starts(home, options):
    """Medians of wall seconds, by the way and the binary."""
    binaries = {"": home.aqpipe} | ({"before": options.against.absolute()} if options.against else {})
    topic = home.topic("starts", 3)
    home.send(topic, bench.messages(1, 100))
    rows = bench.write_csv(home.work / "starts.csv", 100)
    found = {}
    for number in range(options.rounds):
        for which in binaries if number % 2 == 0 else reversed(binaries):
            for delivery in ("exactly_once", "at_least_once"):
                name = f"{which}{delivery}-{number}"
                sinks = bench.csv_sink(home.work / f"out-{name}"), bench.kafka_sink(home.brokers, f"out-{name}", 3)
                ways = {"Kafka → CSV": home.pipeline(f"in-{name}", bench.kafka_source(home.brokers, topic), bench.SCORE, sinks[0], delivery=delivery),
                        "CSV → Kafka": home.pipeline(f"out-{name}", bench.csv_source(rows), bench.SCORE, sinks[1], delivery=delivery)}
                for way, path in ways.items():
                    used = home.run(path, aqpipe=binaries[which])
                    found.setdefault((way, delivery), {}).setdefault(which, []).append((used.wall, used.cpu))

    def told(values):
        walls, cpus = zip(*values)
        return [f"{statistics.median(walls):.2f} ({min(walls):.2f} to {max(walls):.2f})", f"{statistics.median(cpus):.3f}"]
    head = ["100 records", *(f"{title}{' ' + which if which else ''}" for which in binaries for title in ("wall s", "CPU s"))]
    return bench.table(head, [[f"{way}, {delivery.replace('_', '-')}", *(word for which in binaries for word in told(values[which]))]
                              for (way, delivery), values in found.items()])


def receive_topic(brokers, topic, results, ready):
    """Latencies of the records of a topic until one comes that says so."""
    from confluent_kafka import Consumer
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": f"{topic}-reader", "isolation.level": "read_committed",
                         "auto.offset.reset": "earliest", "fetch.wait.max.ms": 10, "enable.auto.commit": False})
    consumer.subscribe([topic], on_assign=lambda *_: ready.set())
    found = []
    while True:
        message = consumer.poll(1)
        if message is None or message.error():
            continue
        sent = float(message.value().split(b'"sent":', 1)[1].split(b",", 1)[0])
        if sent < 0:
            results.send(found)
            return consumer.close()
        found.append((sent, time.monotonic()))


def receive_files(directory, results, ready):
    """The same of a directory of CSV files."""
    ready.set()
    found, seen = [], set()
    while True:
        names = {name for name in os.listdir(directory) if name.endswith(".csv") and name[0] != "."} if os.path.isdir(directory) else set()
        now = time.monotonic()
        for name in sorted(names - seen):
            lines = pathlib.Path(directory, name).read_text().splitlines()
            column = lines[0].split(",").index("sent")
            sent = [float(line.split(",")[column]) for line in lines[1:]]
            found += [(when, now) for when in sent if when >= 0]
            if any(when < 0 for when in sent):
                return results.send(found)
        seen |= names
        time.sleep(0.005)


def latency_of(home, name, delivery, way, rate):
    topic, out = home.topic(f"{name}-in", 3), home.topic(f"{name}-out", 3)
    source = bench.kafka_source(home.brokers, topic, ["sent", "T"], until_end=False)
    sink = bench.kafka_sink(home.brokers, out, 3) if way == "Kafka" else bench.csv_sink(home.work / name, more="batch_timeout_secs = 1")
    path = home.pipeline(name, source, '[[transform]]\ntype = "range_check"\n[transform.ranges]\n"T" = { min = -20.0, max = 50.0 }\n',
                         bench.SCORE, sink, delivery=delivery)
    process = home.start("run", path, "--no-monitoring")
    # A process of its own that begins from nothing: clients of Kafka do not survive a fork.
    spawn = multiprocessing.get_context("spawn")
    results, sender = spawn.Pipe(duplex=False)
    ready = spawn.Event()
    of_files = (receive_files, (home.work / name, sender, ready))
    target, arguments = (receive_topic, (home.brokers, out, sender, ready)) if way == "Kafka" else of_files
    reader = spawn.Process(target=target, args=arguments, daemon=True)
    reader.start()
    # One record a partition before the clock starts: the pipeline reads, and the reader has its partitions.
    producer = home.producer(linger_ms=5)
    send = lambda sent, partition: producer.produce(topic, f'{{"station":"s{partition}","timestamp":"2026-01-01T00:00:00Z","T":1.5,"sent":{sent:.6f}}}',
                                                    key=f"s{partition}", partition=partition)
    [send(0, partition) for partition in range(3)]
    producer.flush(30)
    bench.wait_until(ready.is_set, "the reader has its partitions")
    bench.wait_until(lambda: all_committed(home, topic, name), "the pipeline reads")
    started, sent, before = time.monotonic(), 0, bench.cpu_of(process.pid)
    while (now := time.monotonic()) < started + RATES[rate]:
        due = int((now - started) * rate) + 1
        for number in range(sent, due):
            send(time.monotonic(), number % 3)
        sent = due
        producer.poll(0)
        time.sleep(max(min(started + sent / rate - time.monotonic(), 0.1), 0.0005))
    share = (bench.cpu_of(process.pid) - before) / (time.monotonic() - started)
    # Of a later transaction than all others: behind it nothing comes.
    producer.flush(30)
    time.sleep(2.5)
    send(-1, 0)
    producer.flush(30)
    if not results.poll(60):
        sys.exit("the reader does not see the end")
    found = [1e3 * (seen - when) for when, seen in results.recv() if when > started + LEFT_OUT_SECONDS]
    reader.join(30)
    home.stop(process)
    found.sort()
    quantile = lambda share: found[min(int(share * len(found)), len(found) - 1)]
    return [f"{rate:,}", f"{quantile(0.5):.0f}", f"{quantile(0.99):.0f}", f"{found[-1]:.0f}", f"{100 * share:.1f}"]


def all_committed(home, topic, group):
    """Whether the group has committed a record of each partition."""
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
    wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, number) for number in range(3)])
    admin = home.admin()
    return all(of.offset >= 1 for of in admin.list_consumer_group_offsets([wanted])[group].result(30).topic_partitions)


def latency(home, _):
    ways = [("exactly_once", "Kafka"), ("at_least_once", "Kafka"), ("exactly_once", "CSV")]
    rows = []
    for delivery, way in ways:
        for rate in RATES:
            row = latency_of(home, f"{delivery}-{way}-{rate}", delivery, way, rate)
            rows.append([f"Kafka → {way}, {delivery.replace('_', '-')}", *row])
            print(*rows[-1], flush=True)
    return bench.table(["ms from sent to visible", "records/s", "p50", "p99", "max", "% of a core"], rows)


def idle_of(home, topic, count, delivery, limit):
    """A row of what so many idle pipelines use; None where the limit of descriptors ended them."""
    tag = f"{count}-{delivery}-{'few' if limit else 'all'}"
    paths = [home.pipeline(f"idle-{tag}-{number}", bench.kafka_source(home.brokers, topic, until_end=False), bench.SCORE,
                           bench.csv_sink(home.work / f"idle-{tag}-{number}", more="batch_timeout_secs = 1"), delivery=delivery)
             for number in range(count)]
    log = home.work / f"idle-{tag}.log"
    words = ["run", *paths, "--no-monitoring"]
    started = time.monotonic()
    if limit:
        # In a shell, so that the limit is the hard one of that process alone.
        process = subprocess.Popen(["sh", "-c", f'ulimit -n {limit}; exec "$0" "$@"', str(home.aqpipe), *map(str, words)],
                                   stdout=subprocess.DEVNULL, stderr=open(log, "wb"))
        home.processes.append(process)
    else:
        process = home.start(*words, log=log)
    has_files = lambda path: any(name.endswith(".csv") for name in os.listdir(home.work / path.stem)) if (home.work / path.stem).is_dir() else False
    bench.wait_until(lambda: process.poll() is not None or all(map(has_files, paths)), "every pipeline has a file")
    if process.poll() is not None:
        if "too many open files" not in log.read_text():
            sys.exit(log.read_text()[-4000:])
        return None
    reading = time.monotonic() - started
    time.sleep(5)
    before, since = bench.cpu_of(process.pid), time.monotonic()
    time.sleep(IDLE_SECONDS)
    share = (bench.cpu_of(process.pid) - before) / (time.monotonic() - since)
    memory, threads = (bench.proc_number(process.pid, "status", key) for key in ("VmHWM", "Threads"))
    descriptors = len(os.listdir(f"/proc/{process.pid}/fd"))
    since = time.monotonic()
    home.stop(process)
    return [f"{100 * share:.1f}", f"{memory / 1024:.0f}", descriptors, threads, f"{reading:.1f}", f"{time.monotonic() - since:.1f}"]


def idle(home, _):
    topic = home.topic("idle", 3)
    home.send(topic, bench.messages(30, 10))
    rows = []
    for delivery in ("exactly_once", "at_least_once"):
        for count in (1, 100):
            row = idle_of(home, topic, count, delivery, 1024)
            limit = "1024"
            if row is None:
                row, limit = idle_of(home, topic, count, delivery, None), "1024 are too few"
            rows.append([f"{count}, {delivery.replace('_', '-')}", limit, *row])
            print(*rows[-1], flush=True)
    head = ["pipelines in a process", "descriptors allowed", "% of a core", "MiB", "descriptors", "threads", "s to the files of all", "s to stop"]
    return bench.table(head, rows)


PARTS = {"starts": starts, "latency": latency, "idle": idle}


def main():
    parser = bench.parser(__doc__, 19392)
    parser.add_argument("--against", type=pathlib.Path)
    parser.add_argument("--only", action="append", choices=PARTS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    bench.need("confluent_kafka")
    for name, part in PARTS.items():
        if options.only and name not in options.only:
            continue
        with bench.Bench(options) as home:
            text = part(home, options)
        print(text, flush=True)
        if options.write:
            bench.write_section(name, f"{bench.setting(options, f'benches/live.py --only {name}')}\n\n{text}")


if __name__ == "__main__":
    main()
