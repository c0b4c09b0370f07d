#!/usr/bin/env python3
"""A thousand stations, each with a median over 720 values: what a whole run, live records and a restart cost.

    benches/stations.py [--aqpipe BIN] [--stations 1000] [--window 720] [--rounds 3] [--write]

One partition with 800 records a station goes into CSV files and into Kafka, exactly-once: CPU seconds a million records, start-up
included, and peak memory. Then a record every 10 ms for 8 s: the share of a core, and what goes to disk. Then a start with
nothing to read. Medians of the rounds. The same for 100,000 stations with forward fills, where only the whole run is shown.
--write puts the table into README.md. Takes some 5 minutes. Needs what growth.py needs.
"""
import statistics, time

import bench

LIVE_SECONDS, WARM_SECONDS, PAUSE = 8, 3, 0.01


def pipeline(home, topic, name, way, steps):
    sink = {"CSV": bench.csv_sink(home.work / f"out-{name}", more="batch_timeout_secs = 1"),
            "Kafka": bench.kafka_sink(home.brokers, f"{name}-out")}[way]
    return home.pipeline(name, bench.kafka_source(home.brokers, topic, until_end=False), bench.impute(steps), bench.SCORE, sink)


class Live:
    """A record every 10 ms, the stations in turn."""

    def __init__(self, home, topic, stations, first):
        self.producer, self.topic = home.producer(linger_ms=5), topic
        self.messages = bench.messages(stations, 1_000_000, first)

    def feed(self, seconds):
        """Returns how many records a second it were."""
        started, sent = time.monotonic(), 0
        while (now := time.monotonic()) < started + seconds:
            key, value, _ = next(self.messages)
            self.producer.produce(self.topic, value, key=key)
            self.producer.poll(0)
            sent += 1
            time.sleep(max(started + sent * PAUSE - now, 0))
        self.producer.flush(30)
        return sent / (time.monotonic() - started)


def caught_up(home, topic, group):
    """Whether the group has committed the end of partition 0."""
    from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
    from confluent_kafka.admin import OffsetSpec
    admin, partition = home.admin(), TopicPartition(topic, 0)
    found = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group, [partition])])[group].result(30)
    end = admin.list_offsets({partition: OffsetSpec.latest()})[partition].result(30).offset
    # The end lies behind the marker of a transaction, where one wrote the records.
    return end - found.topic_partitions[0].offset <= 1


def live(home, topic, path, feeder):
    """The share of a core, MB a second to disk and peak memory in MiB at a hundred records a second."""
    group = path.stem
    process = home.start("run", path, "--no-monitoring")
    bench.wait_until(lambda: caught_up(home, topic, group), f"{group} has read all")
    feeder.feed(WARM_SECONDS)
    before = bench.cpu_of(process.pid), bench.proc_number(process.pid, "io", "write_bytes"), time.monotonic()
    feeder.feed(LIVE_SECONDS)
    after = bench.cpu_of(process.pid), bench.proc_number(process.pid, "io", "write_bytes"), time.monotonic()
    cpu, written, wall = (late - early for late, early in zip(after, before))
    memory = bench.proc_number(process.pid, "status", "VmHWM") / 1024
    home.stop(process)
    return cpu / wall, written / wall / 1e6, memory


def stations(home, options, way, each, steps, number):
    topic = home.topic(f"stations-{way.lower()}-{number}")
    count = home.send(topic, bench.messages(options.stations, each))
    path = pipeline(home, topic, f"{topic}-run", way, steps)
    whole = home.run("--until-end", path)
    feeder = Live(home, topic, options.stations, each)
    share, disk, memory = live(home, topic, path, feeder)
    home.run("--until-end", path)
    restart = home.run("--until-end", path)
    return [whole.cpu / count * 1e6, whole.wall, whole.memory, 100 * share, disk, memory, restart.wall, restart.cpu, restart.memory]


def many(home, way, number):
    """100,000 stations with a forward fill, 10 records each."""
    topic = home.topic(f"many-{way.lower()}-{number}")
    count = home.send(topic, bench.messages(100_000, 10))
    whole = home.run("--until-end", pipeline(home, topic, f"{topic}-run", way, '{ method = "forward_fill" }'))
    return [whole.cpu / count * 1e6, whole.wall, whole.memory]


HEAD = ["Kafka to", "CPU s a million", "wall s", "MiB", "% of a core at 100/s", "MB/s to disk", "MiB then", "restart: wall s", "CPU s", "MiB"]


def row(name, rounds):
    return [name, *(f"{statistics.median(values):.{0 if 'MiB' in head else 2}f}" for head, values in zip(HEAD[1:], zip(*rounds)))]


def main():
    parser = bench.parser(__doc__, 19292)
    parser.add_argument("--stations", type=int, default=1_000)
    parser.add_argument("--window", type=int, default=720)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    bench.need("confluent_kafka")
    steps, each = f'{{ method = "median", window = {options.window} }}', options.window * 10 // 9
    found, of_many = {}, {}
    with bench.Bench(options) as home:
        for number in range(options.rounds):
            for way in ("CSV", "Kafka"):
                found.setdefault(way, []).append(stations(home, options, way, each, steps, number))
                of_many.setdefault(way, []).append(many(home, way, number))
                print(bench.table(HEAD, [row(way, found[way][-1:])]), flush=True)
    text = f"{options.stations:,} stations with a median over {options.window}:\n\n"
    text += bench.table(HEAD, [row(way, rounds) for way, rounds in found.items()])
    text += "\n\n100,000 stations with a forward fill, 10 records each:\n\n"
    text += bench.table(HEAD[:4], [row(way, rounds) for way, rounds in of_many.items()])
    print(text)
    if options.write:
        bench.write_section("stations", f"{bench.setting(options, 'benches/stations.py')}\n\n{text}")


if __name__ == "__main__":
    main()
