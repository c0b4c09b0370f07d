#!/usr/bin/env python3
"""How CPU and memory of a run grow with each dimension, over two decades or more.

    benches/growth.py [--aqpipe BIN] [--only DIMENSION]… [--quick] [--rounds 3] [--write]

Each dimension has a pipeline and sizes; each size is run until three rounds or 15 seconds are over, in a process of its own, and
so is the same pipeline with nothing to do. What that used is taken off, and the exponent is the slope, on two logarithmic scales,
over the upper decade: 1 is linear. A size that cannot be told from the run with nothing to do takes no part, and growth is "flat"
where no two sizes of the upper decade can.
--quick leaves out what lies above the last but one size. --write puts the table into README.md and the pictures into growth/.
Needs Java 17 and Maven, or KAFKA_HOME (see `aqpipe kafka up`); fetches two packages of PyPI. Takes about 20 minutes.
"""
import dataclasses, math, shutil, statistics, sys, time, typing

import bench
from bench import FIELDS, FILLS, NULL, RANGES, SCORE, WINDOW

# Above this an exponent is marked.
LINEAR = 1.1
# What two runs of the same thing may differ by, in CPU seconds and MiB, beside what the runs with nothing to do differed by.
NOISE = (0.015, 5.0)
SECONDS_OF_A_SIZE = 15


@dataclasses.dataclass
class Dimension:
    """`make` prepares a run of a size, 0 being the run with nothing to do, and returns the files of its pipelines."""
    name: str
    what: str
    sizes: list
    make: typing.Callable
    why: str = ""


class Inputs:
    """Makes the input of runs, once a size."""

    def __init__(self, home):
        self.bench, self.made, self.count = home, {}, 0

    def once(self, *key, make):
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    def name(self, what):
        """A name that no run had before."""
        self.count += 1
        return f"{what}-{self.count}"

    def csv(self, rows):
        return self.once("csv", rows, make=lambda: bench.write_csv(self.bench.work / f"rows-{rows}.csv", rows))

    def topic(self, stations, each, partitions=1):
        def make():
            name = self.bench.topic(f"in-{stations}-{each}-{partitions}", partitions)
            self.bench.send(name, bench.messages(stations, each, partitions=partitions))
            return name
        return self.once("topic", stations, each, partitions, make=make)

    def out(self, name, *steps, source, sink=None):
        """From a file to Kafka, exactly-once."""
        sink = sink or bench.kafka_sink(self.bench.brokers, name)
        return self.bench.pipeline(name, source, *steps, SCORE, sink)


def records_out(inputs, n):
    name = inputs.name("records-out")
    return [inputs.out(name, bench.impute(FILLS, WINDOW), RANGES, source=bench.csv_source(inputs.csv(n)))]


def records_in(inputs, n):
    def make():
        topic = inputs.name("records")
        inputs.bench.run(inputs.out(topic, source=bench.csv_source(inputs.csv(n))))
        return topic
    topic = inputs.once("records", n, make=make)
    return [consumer(inputs, topic)]


def consumer(inputs, topic, directory=None, fields=FIELDS, steps=(RANGES, SCORE)):
    name = inputs.name("in")
    directory = directory or inputs.bench.work / "output" / name
    return inputs.bench.pipeline(name, bench.kafka_source(inputs.bench.brokers, topic, fields), *steps, bench.csv_sink(directory, more='prefix = "batch"'))


def station_rows(inputs, stations, each):
    path = inputs.bench.work / f"stations-{stations}-{each}.csv"
    return inputs.once(path, make=lambda: bench.write_stations(path, stations, each))


def stations(inputs, n, each, step):
    source = bench.csv_source(station_rows(inputs, n, each if n else 0), key=bench.STATION_KEY)
    return [inputs.out(inputs.name("stations"), bench.impute(step), source=source)]


def stations_filled(inputs, n):
    return stations(inputs, n, 20, '{ method = "forward_fill" }')


def stations_window(inputs, n):
    return stations(inputs, n, 100, '{ method = "median", window = 72 }')


def state(inputs, n):
    return stations(inputs, 10, n * 6 // 5, f'{{ method = "median", window = {max(n, 1)} }}')


def wide(inputs, fields, rows):
    """A file of so many fields, and their names."""
    names = [f"f{number:05}" for number in range(max(fields, 10))]

    def make():
        path = inputs.bench.work / f"wide-{fields}-{rows}.csv"
        with open(path, "w") as out:
            out.write(";".join(["Date", "Time", *names]) + "\n")
            for row in range(rows):
                cells = ";".join(f"{(row * 7919 + number * 104729) % 15000 / 10:.1f}".replace(".", ",") for number in range(len(names)))
                out.write(bench.csv_time(60 * row) + cells + "\n")
        return path
    return names, inputs.once("wide", fields, make=make)


def fields_out(inputs, n):
    names, path = wide(inputs, n, 5_000 if n else 0)
    return [inputs.out(inputs.name("wide-out"), bench.impute('{ method = "forward_fill", limit = 3 }'), source=bench.csv_source(path, names))]


def fields_in(inputs, n):
    names, path = wide(inputs, n, 5_000 if n else 0)

    def make():
        topic = inputs.name("wide")
        inputs.bench.run(inputs.out(topic, source=bench.csv_source(path, names)))
        return topic
    return [consumer(inputs, inputs.once("wide-in", n, make=make), fields=names, steps=[SCORE])]


def partitions(inputs, n):
    return [consumer(inputs, inputs.topic(max(n, 1), 5_000 if n else 0, partitions=max(n, 1)))]


def files(inputs, n):
    """A start of a pipeline that has so many files in its directory, with 12 partitions of which each has one record."""
    topic = inputs.topic(12, 1, partitions=12)
    directory = inputs.bench.work / "output" / f"of-{n}"
    first = inputs.once("files", n, make=lambda: consumer(inputs, topic, directory))
    if not directory.exists():
        inputs.bench.run(first)
        for number in range(n):
            # As a split has them that went to another member.
            (directory / f"batch_other-0_{number:020}-{number + 1:020}.csv").touch()
    # The same pipeline: nothing is left to read, and the directory is listed.
    return [first]


def pipelines(inputs, n):
    topic = inputs.topic(10, 200 if n else 0, partitions=3)
    return [consumer(inputs, topic) for _ in range(max(n, 1))]


def stages(inputs, n):
    name = inputs.name("stages")
    return [inputs.bench.pipeline(name, bench.csv_source(inputs.csv(500_000)), RANGES * n, NULL)]


def validated(inputs, n):
    name = inputs.name("validated")
    path = inputs.bench.pipeline(name, bench.csv_source(inputs.csv(0)), RANGES * max(n, 1), NULL)
    return ["validate", path]


def held(inputs, n):
    """One field has a value in the first row alone, so that all rows wait for one; files of 100 records."""
    def make():
        path = inputs.bench.work / f"held-{n}.csv"
        with open(path, "w") as out:
            out.write("Date;Time;A;B;C\n")
            for row in range(n):
                out.write(bench.csv_time(60 * row) + f"{'1,5' if row == 0 else '-200'};{row % 100};{row % 77}\n")
        return path
    path = inputs.once("held", n, make=make)
    name = inputs.name("held")
    fill = bench.impute('{ method = "backward_fill" }') + "max_held = 1000000\n"
    sink = bench.csv_sink(inputs.bench.work / "output" / name, batch_size=100)
    return [inputs.bench.pipeline(name, bench.csv_source(path, ["A", "B", "C"]), fill, SCORE, sink)]


def decades(first, last):
    """1, 3, 10, 30 … from a power of ten to another one."""
    return [size for power in range(len(str(last))) for size in (10**power, 3 * 10**power) if first <= size <= last]


DIMENSIONS = [
    Dimension("records-out", "records: CSV → fills, ranges, score → Kafka", [10_000, 100_000, 1_000_000, 3_000_000, 10_000_000], records_out),
    Dimension("records-in", "records: Kafka → ranges, score → CSV", [10_000, 100_000, 1_000_000, 3_000_000, 10_000_000], records_in),
    Dimension("stations", "stations of 20 records, each with a forward fill, into Kafka", decades(100, 100_000), stations_filled),
    Dimension("stations-window", "stations of 100 records, each with a median over 72, into Kafka", decades(10, 10_000), stations_window),
    Dimension("fields-out", "fields of 5,000 records: CSV → fills → Kafka", decades(10, 1_000), fields_out),
    Dimension("fields-in", "fields of 5,000 records: Kafka → score → CSV", decades(10, 1_000), fields_in),
    Dimension("partitions", "partitions of 5,000 records: Kafka → CSV", decades(1, 100), partitions),
    Dimension("files", "files in the directory of a pipeline with 12 partitions that starts", decades(10_000, 1_000_000), files),
    Dimension("pipelines", "pipelines in a process, each 2,000 records: Kafka → CSV", decades(1, 100), pipelines),
    Dimension("stages", "stages (`range_check`) over 500,000 records", decades(1, 100), stages),
    Dimension("validated", "stages that `validate` checks", decades(10, 1_000), validated),
    Dimension("held", "rows held back by a fill, with files of 100 records", decades(1_000, 100_000), held),
    Dimension("state", "size of the window of a median, 10 stations, records in proportion, into Kafka", decades(100, 30_000), state),
]


def measure(home, inputs, make, size, rounds):
    """Medians of CPU and memory of a size, and how far its rounds lie apart."""
    found, started = [], time.monotonic()
    while len(found) < rounds and (not found or time.monotonic() - started < SECONDS_OF_A_SIZE):
        made = make(inputs, size)
        found.append(home.measure([home.aqpipe, *made]) if made[0] == "validate" else home.run(*made))
        if make is not files:
            shutil.rmtree(home.work / "output", ignore_errors=True)
    spread = lambda values: max(values) - min(values)
    kinds = ([usage.cpu for usage in found], [usage.memory for usage in found])
    return tuple(map(statistics.median, kinds)), tuple(map(spread, kinds))


def exponent(sizes, above, noise):
    """The slope over the upper decade; None where growth cannot be told from noise."""
    points = [(math.log(size), math.log(used)) for size, used in zip(sizes, above) if used > noise and size * 11 > sizes[-1]]
    if len(points) < 2:
        return None
    return statistics.linear_regression(*zip(*points)).slope


@dataclasses.dataclass
class Growth:
    """What was found of a dimension: for CPU and memory, what the run with nothing to do used, what each size used above it, and
    the exponent."""
    dimension: Dimension
    sizes: list
    base: tuple
    above: list
    exponents: list

    def row(self):
        last = self.sizes[-1]
        told = [f"{'**' if slope > LINEAR else ''}{slope:.2f}{'**' if slope > LINEAR else ''}" if slope is not None else "flat"
                for slope in self.exponents]
        cpu, memory = (values[-1] for values in self.above)
        return [self.dimension.what, f"{self.sizes[0]:,} … {last:,}", f"{self.base[0]:.2f}", f"{cpu:.2f}", told[0],
                f"{self.base[1]:.0f}", f"{memory:.0f}", told[1]]


def grow(home, dimension, options):
    inputs = Inputs(home)
    sizes = dimension.sizes[:-2] if options.quick else dimension.sizes
    base, apart = measure(home, inputs, dimension.make, 0, max(options.rounds, 3))
    noise = [NOISE[kind] + apart[kind] for kind in (0, 1)]
    used = []
    for size in sizes:
        found, _ = measure(home, inputs, dimension.make, size, options.rounds)
        used.append(found)
        print(f"{dimension.name} {size}: {found[0]:.3f} CPU s, {found[1]:.0f} MiB; base {base[0]:.3f} and {base[1]:.0f}", flush=True)
    above = [[values[kind] - base[kind] for values in used] for kind in (0, 1)]
    return Growth(dimension, sizes, base, above, [exponent(sizes, above[kind], noise[kind]) for kind in (0, 1)])


def main():
    parser = bench.parser(__doc__, 19192)
    parser.add_argument("--only", action="append", choices=[dimension.name for dimension in DIMENSIONS])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    bench.need("confluent_kafka", "matplotlib")
    chosen = [dimension for dimension in DIMENSIONS if not options.only or dimension.name in options.only]
    found = []
    for dimension in chosen:
        # A directory and a broker of its own: what one dimension leaves costs the next one nothing.
        with bench.Bench(options) as home:
            found.append(grow(home, dimension, options))
    head = ["", "from … to", "CPU s of a run of nothing", "above it at the end", "exponent", "MiB of a run of nothing",
            "above it at the end", "exponent"]
    text = bench.table(head, [growth.row() for growth in found])
    print(text)
    if options.write:
        from pictures import draw
        for growth in found:
            draw(growth, bench.BENCHES / "growth" / f"{growth.dimension.name}.svg")
        pictures = "\n".join(f'<img src="growth/{growth.dimension.name}.svg" width="32%" alt="{growth.dimension.what}">' for growth in found)
        command = " ".join(["benches/growth.py", *(word for word in sys.argv[1:] if not word.startswith("/"))])
        bench.write_section("growth", f"{bench.setting(options, command)}\n\n{text}\n\n{pictures}")
    worse = [growth.dimension.name for growth in found if any(slope is not None and slope > LINEAR for slope in growth.exponents)]
    print(f"faster than in proportion: {', '.join(worse) or 'nothing'}")


if __name__ == "__main__":
    main()
