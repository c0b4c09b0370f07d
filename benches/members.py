#!/usr/bin/env python3
"""Several processes of one pipeline: whether they share anything, and what 3, 12 and 100 members of its group do.

    benches/members.py [--aqpipe BIN] [--rounds 3] [--seconds 10] [--write]

beside    one process and three read the same topic of 12 partitions into CSV files: per thousand records, CPU, context switches,
          futex calls and requests (`sendmsg`), as `perf stat` counts them (without perf, CPU and context switches alone)
members   groups of 1, 3, 6 and 12 processes, Kafka → Kafka, exactly-once, 1,000 stations with a median over 24 in 120 partitions, at
          1,000 records a second: commits and requests a second, CPU, and what moves when one member leaves. A model of the groups
          of 1, 3 and 6 says the same of 12, of which it has seen nothing, so that the two can be compared, and of 100; and what
          Kafka's assignor `range` moves. A hundred processes on one machine would measure its scheduler
shared    of three of these processes: memory mappings that are shared and writable, and files that more than one has open for
          writing

--write puts the tables into README.md. Takes some 6 minutes. Needs what growth.py needs, and Linux; perf of linux-perf.
"""
import contextlib, math, os, random, re, shutil, statistics, subprocess, sys, time, urllib.request

import bench

EVENTS = ["context-switches", "syscalls:sys_enter_futex", "syscalls:sys_enter_sendmsg", "cache-misses"]
STATIONS, PARTITIONS, RATE = 1_000, 120, 1_000
# The groups that the model is made of, and those that it has not seen and is compared with.
SEEN, TESTED = [1, 3, 6], [12]


def counts_of(path):
    """What `perf stat -x,` wrote; events that the machine does not count are missing."""
    rows = [line.split(",") for line in path.read_text().splitlines() if "," in line]
    return {row[2]: float(row[0]) for row in rows if row[0].replace(".", "").isdigit()}


def has_perf():
    return shutil.which("perf") is not None and subprocess.run(
        ["perf", "stat", "-e", "syscalls:sys_enter_sendmsg", "true"], capture_output=True).returncode == 0


def together(home, paths, tag, perf):
    """Runs pipelines in a process each, at once; the sums of CPU seconds and of what perf counts, and the wall seconds."""
    started, running = time.monotonic(), []
    for number, path in enumerate(paths):
        told = home.work / f"perf-{tag}-{number}"
        counted = ["perf", "stat", "-x,", "-o", told, "-e", ",".join(EVENTS)] if perf else []
        words = [sys.executable, "-SE", bench.BENCHES / "measured.py", home.work / f"used-{tag}-{number}", *counted, home.aqpipe, "run", path,
                 "--no-monitoring"]
        running.append((subprocess.Popen(list(map(str, words)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL), told))
    total = {"CPU s": 0.0}
    for number, (process, told) in enumerate(running):
        if process.wait(600):
            sys.exit(f"a process of {tag} failed")
        total["CPU s"] += bench.Usage(*bench.json.loads((home.work / f"used-{tag}-{number}").read_text())).cpu
        for event, count in (counts_of(told) if perf else {}).items():
            total[event] = total.get(event, 0) + count
    return total, time.monotonic() - started


def beside(home, options):
    perf = has_perf()
    topics = {rows: home.topic(f"beside-{rows}", 12) for rows in (0, 600_000)}
    home.send(topics[600_000], bench.messages(STATIONS, 600, partitions=12))
    found = {}
    for number in range(options.rounds):
        for members in (1, 3) if number % 2 == 0 else (3, 1):
            used = {}
            for rows, topic in topics.items():
                tag = f"beside-{members}-{rows}-{number}"
                paths = [home.pipeline(tag, bench.kafka_source(home.brokers, topic), bench.SCORE, bench.csv_sink(home.work / f"out-{tag}"))]
                used[rows] = together(home, paths * members, tag, perf)[0]
                records = sum(sum(1 for _ in open(path)) - 1 for path in (home.work / f"out-{tag}").glob("*.csv"))
                if records != rows:
                    sys.exit(f"{tag}: {records} of {rows} records are in the output")
            for kind, count in used[600_000].items():
                found.setdefault(kind, {}).setdefault(members, []).append((count - used[0].get(kind, 0)) / 600)
    rows = []
    for kind, values in found.items():
        one, three = (statistics.median(values[members]) for members in (1, 3))
        scale, name = (1e3, "CPU ms") if kind == "CPU s" else (1, kind.split(":")[-1].removeprefix("sys_enter_"))
        rows.append([name, f"{one * scale:.2f}", f"{three * scale:.2f}", f"{three / one:.2f}" if one else ""])
    left = "" if perf else "\n\nWithout perf: no counts of system calls."
    left += "" if "cache-misses" in found or not perf else "\n\nCache misses: this machine does not count them."
    return bench.table(["per thousand records, start-up taken off", "one process", "three together", "ratio"], rows) + left


class Group:
    """So many processes of one pipeline, each with metrics on a port of its own."""

    def __init__(self, home, members):
        self.home, self.name = home, f"group-{members}"
        self.topic = home.topic(f"{self.name}-in", PARTITIONS)
        home.topic(f"{self.name}-out", PARTITIONS)
        steps = bench.impute('{ method = "median", window = 24 }')
        self.path = home.pipeline(self.name, bench.kafka_source(home.brokers, self.topic, until_end=False, more="session_timeout_secs = 30"),
                                  steps, bench.SCORE, bench.kafka_sink(home.brokers, f"{self.name}-out"))
        home.send(self.topic, bench.messages(STATIONS, 24, partitions=PARTITIONS))
        self.ports = [home.port + 100 + number for number in range(members)]
        self.processes = [home.start("run", self.path, "--http", f"127.0.0.1:{port}", log=home.work / f"{self.name}-{port}.log") for port in self.ports]
        self.feeder = home.producer(linger_ms=5)
        self.messages = bench.messages(STATIONS, 1_000_000, first=24, partitions=PARTITIONS)

    def owners(self):
        """The owner of each partition; nobody while the coordinator does not answer."""
        from confluent_kafka import KafkaException
        try:
            group = self.home.admin().describe_consumer_groups([self.name], request_timeout=1)[self.name].result(5)
        except (KafkaException, TimeoutError):
            return {}
        return {of.partition: member.member_id for member in group.members if member.assignment for of in member.assignment.topic_partitions}

    def lag(self):
        from confluent_kafka import ConsumerGroupTopicPartitions, TopicPartition
        from confluent_kafka.admin import OffsetSpec
        parts = [TopicPartition(self.topic, number) for number in range(PARTITIONS)]
        admin = self.home.admin()
        ends = admin.list_offsets({part: OffsetSpec.latest() for part in parts})
        wanted = ConsumerGroupTopicPartitions(self.name, parts)
        at = {of.partition: of.offset for of in admin.list_consumer_group_offsets([wanted])[self.name].result(30).topic_partitions}
        return sum(end.result(30).offset - max(at[part.partition], 0) for part, end in ends.items())

    def settle(self, members):
        """Waits until so many members have all partitions and have read all; returns how long it took."""
        started = time.monotonic()

        def settled():
            owners = self.owners()
            return len(owners) == PARTITIONS and len(set(owners.values())) == members and self.lag() == 0
        bench.wait_until(settled, f"{members} members have settled", timeout=300, interval=0.2)
        return time.monotonic() - started

    def commits(self):
        """The commits of all members so far."""
        total = 0.0
        for port, process in zip(self.ports, self.processes):
            if process.poll() is None:
                text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
                total += sum(map(float, re.findall(r"^aqpipe_commit_duration_seconds_count\{[^}]*\} (\S+)", text, re.M)))
        return total

    def feed(self, seconds, rate):
        """Sends at an even rate."""
        started, sent = time.monotonic(), 0
        while (now := time.monotonic()) < started + seconds:
            for _ in range(sent, int((now - started) * rate)):
                key, value, partition = next(self.messages)
                self.feeder.produce(self.topic, value, key=key, partition=partition)
                sent += 1
            self.feeder.poll(0)
            time.sleep(0.005)
        self.feeder.flush(30)

    def counted(self, seconds, rate):
        """Commits, requests and CPU seconds a second, of all members together."""
        pids = [process.pid for process in self.processes]
        told = self.home.work / "perf-group"
        words = ["perf", "stat", "-x,", "-o", told, "-e", "syscalls:sys_enter_sendmsg", "-p", ",".join(map(str, pids)), "--", "sleep", seconds]
        before = self.commits(), sum(map(bench.cpu_of, pids)), time.monotonic()
        counter = subprocess.Popen(list(map(str, words)), stderr=subprocess.DEVNULL) if has_perf() else None
        self.feed(seconds, rate)
        if counter:
            counter.wait(60)
        commits, cpu, wall = (after - early for after, early in zip((self.commits(), sum(map(bench.cpu_of, pids)), time.monotonic()), before))
        requests = counts_of(told).get("syscalls:sys_enter_sendmsg", math.nan) / seconds if counter else math.nan
        return commits / wall, requests, cpu / wall

    def stop(self):
        self.feeder = None
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            if process.wait(120):
                sys.exit(f"a member of {self.name} ended with {process.returncode}")


def shared(processes):
    """How many mappings several processes share for writing, and how many files more than one has open for writing."""
    mappings, files = 0, []
    for process in processes:
        maps = open(f"/proc/{process.pid}/maps").read().splitlines()
        mappings += sum(1 for line in maps if re.match(r"\S+ .w.s ", line))
        own = set()
        for number in os.listdir(f"/proc/{process.pid}/fd"):
            with contextlib.suppress(OSError):
                path, flags = os.readlink(f"/proc/{process.pid}/fd/{number}"), open(f"/proc/{process.pid}/fdinfo/{number}").read()
                if path.startswith("/") and path != "/dev/null" and int(re.search(r"flags:\s+(\d+)", flags)[1], 8) & 3:
                    own.add(path)
        files.append(own)
    return mappings, sorted({path for a, own in enumerate(files) for path in own for other in files[a + 1:] if path in other})


def moved_by_range(members, chance):
    """How many partitions another member has after one of a group leaves: the assignor `range` deals them in order of the members'
    names, a share each, the first ones one more where they do not come out even."""
    def deal(names):
        share, more = divmod(PARTITIONS, len(names))
        counts = [share + (number < more) for number in range(len(names))]
        return [name for name, count in zip(sorted(names), counts) for _ in range(count)]
    before = deal(range(members))
    gone = chance.randrange(members)
    after = deal([name for name in range(members) if name != gone])
    return sum(one != other for one, other in zip(before, after))


class Model:
    """What a group of any size does, by a line through what small groups do: what records cost is there once, and each member adds
    its waiting and its commits. `found` has commits, requests and CPU seconds a second by the number of members."""

    def __init__(self, found):
        self.lines = [statistics.linear_regression(list(found), values) for values in zip(*found.values())]

    def of(self, members):
        return [max(line.intercept + line.slope * members, 0.0) for line in self.lines]


def members(home, options):
    found, told = {}, ""
    rows = []
    for count in SEEN + TESTED:
        group = Group(home, count)
        joined = group.settle(count)
        if count == 3:
            mappings, files = shared(group.processes)
            told = (f"Three processes in one state directory: {mappings} mappings that are shared and writable, "
                    f"{len(files)} files that more than one has open for writing{': ' if files else ''}{', '.join(map(os.path.basename, files))}.")
        quiet = group.counted(options.seconds, 0)
        live = group.counted(options.seconds, RATE)
        found[count] = quiet, live
        moved, pause = "", ""
        if count > 1:
            group.settle(count)
            before = group.owners()
            group.home.stop(group.processes[0])
            pause = f"{group.settle(count - 1):.1f}"
            after = group.owners()
            moved = sum(before[part] != after[part] for part in before)
        group.stop()
        rows.append([f"{count}, measured", f"{joined:.1f}", *(f"{value:.1f}" for value in live), f"{quiet[1]:.1f}", f"{100 * quiet[2]:.1f}", moved, pause])
        print(*rows[-1], flush=True)
    chance = random.Random(1)
    idle, at_work = (Model({count: found[count][which] for count in SEEN}) for which in (0, 1))
    for count in TESTED + [100]:
        moved = statistics.mean(moved_by_range(count, chance) for _ in range(200))
        (_, idle_requests, idle_cpu), live = idle.of(count), at_work.of(count)
        # Requests under load follow no line: how many records a request carries depends on who waits for whom.
        commits, _, cpu = live
        rows.append([f"{count}, by the model", "", f"{commits:.1f}", "", f"{cpu:.1f}", f"{idle_requests:.1f}", f"{100 * idle_cpu:.1f}", f"{moved:.0f}", ""])
    head = ["members", "s to join", "commits/s", "requests/s", "CPU s/s", "requests/s, idle", "% of a core, idle",
            f"partitions of {PARTITIONS} that move when one leaves", "s until they are read"]
    return bench.table(head, rows) + f"\n\n{told}"


def main():
    parser = bench.parser(__doc__, 19492)
    parser.add_argument("--only", action="append", choices=["beside", "members"])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    bench.need("confluent_kafka")
    for name, part in {"beside": beside, "members": members}.items():
        if options.only and name not in options.only:
            continue
        # Members that start together are in the first assignment together: this is Kafka's own setting.
        with bench.Bench(options, properties=["group.initial.rebalance.delay.ms=3000"]) as home:
            text = part(home, options)
        print(text, flush=True)
        if options.write:
            bench.write_section(name, f"{bench.setting(options, f'benches/members.py --only {name}')}\n\n{text}")


if __name__ == "__main__":
    main()
