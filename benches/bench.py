"""What the scripts of this directory share: a Kafka of their own, processes that are measured, input, the text of pipelines,
and sections of README.md that a script writes."""
import argparse, importlib.util, json, os, pathlib, platform, random, shutil, signal, subprocess, sys, tempfile, time, typing

BENCHES = pathlib.Path(__file__).resolve().parent
ROOT = BENCHES.parent
FIELDS = ["CO(GT)", "PT08.S1(CO)", "NMHC(GT)", "C6H6(GT)", "PT08.S2(NMHC)", "NOx(GT)", "PT08.S3(NOx)", "NO2(GT)",
          "PT08.S4(NO2)", "PT08.S5(O3)", "T", "RH", "AH"]
FIRST_TIME = 1078941600
WINDOW = '{ method = "median", window = 1000 }'
FILLS = '{ method = "forward_fill", limit = 3 }, { method = "backward_fill", limit = 3 }'
RANGES = """
[[transform]]
type = "range_check"
[transform.ranges]
"CO(GT)" = { min = 0.0, max = 50.0 }
"NOx(GT)" = { min = 0.0, max = 1000.0 }
"C6H6(GT)" = { min = 0.0, max = 100.0 }
"T" = { min = -20.0, max = 50.0 }
"RH" = { min = 0.0, max = 100.0 }
"""
SCORE = '[[transform]]\ntype = "score"\n'
NULL = '[sink]\ntype = "null"\n'
# What the scripts need of PyPI, for each name that is imported.
PACKAGES = {"confluent_kafka": "confluent-kafka>=2.6,<3", "matplotlib": "matplotlib>=3.9,<4"}


class Usage(typing.NamedTuple):
    """CPU seconds (user and system), wall seconds and peak resident memory in MiB of one process with its threads."""
    cpu: float
    wall: float
    memory: float


def parser(doc, port, binary=True):
    """The options that every script has; without a binary where the script builds its own."""
    result = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    if binary:
        result.add_argument("--aqpipe", type=pathlib.Path, default=ROOT / "target/release/aqpipe", help="the binary")
    result.add_argument("--port", type=int, default=port, help="the port of the Kafka that is started")
    return result


def need(*modules):
    """Starts the script again in a virtual environment (target/benches-python) where it lacks one of these packages."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if not missing:
        return
    home = ROOT / "target/benches-python"
    python = home / "bin/python"
    if pathlib.Path(sys.prefix) == home:
        sys.exit(f"{home} lacks {missing}: remove it")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", home], check=True)
    wanted = [PACKAGES[module] for module in modules]
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted], check=True)
    os.execv(python, [str(python), *sys.argv])


class Bench:
    """A directory of its own, with an Apache Kafka where one is wanted, for as long as the `with` lasts."""

    def __init__(self, options, kafka=True, properties=()):
        self.aqpipe, self.port, self.kafka, self.properties = options.aqpipe.absolute(), options.port, kafka, properties
        self.brokers = f"127.0.0.1:{options.port}"
        self.processes, self.admin_client = [], None

    def __enter__(self):
        if not self.aqpipe.exists():
            sys.exit(f"{self.aqpipe} is no file: build it, or name another one by --aqpipe")
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="aqpipe-bench-"))
        if self.kafka:
            try:
                words = [word for given in self.properties for word in ("--property", given)]
                self.command("kafka", "up", "--dir", self.work / "kafka", "--port", self.port, *words, loud=True)
            except BaseException:
                self.__exit__()
                raise
        return self

    def __exit__(self, *_):
        # While its brokers are there: afterwards its end may wait for them without end.
        self.admin_client = None
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
        if self.kafka:
            self.command("kafka", "down", "--dir", self.work / "kafka", check=False)
        shutil.rmtree(self.work, ignore_errors=True)

    def command(self, *words, check=True, loud=False):
        subprocess.run([str(self.aqpipe), *map(str, words)], check=check, stdout=subprocess.DEVNULL,
                       stderr=None if loud else subprocess.DEVNULL)

    def pipeline(self, name, *parts, delivery=None, options=""):
        """A file with a pipeline of this name, whose state is in the directory."""
        text = f'name = "{name}"\nstate_dir = "{self.work}/state"\n{options}\n'
        if delivery:
            text += f'delivery = "{delivery}"\n'
        path = self.work / f"{name}.toml"
        path.write_text(text + "\n".join(parts))
        return path

    def run(self, *pipelines, aqpipe=None, options=("--no-monitoring",)):
        """Runs pipelines in one process until they end."""
        return self.measure([aqpipe or self.aqpipe, "run", *pipelines, *options])

    def measure(self, command):
        """What a command uses until it ends; ends the script where it fails."""
        result, log = self.work / "usage.json", self.work / "log"
        with open(log, "wb") as errors:
            words = [sys.executable, "-SE", BENCHES / "measured.py", result, *command]
            code = subprocess.run([str(word) for word in words], stdout=subprocess.DEVNULL, stderr=errors).returncode
        if code:
            sys.exit(f"failed: {' '.join(map(str, command))}\n{log.read_text()[-4000:]}")
        return Usage(*json.loads(result.read_text()))

    def start(self, *words, log=None):
        """A process of aqpipe in the background, which the end of the `with` kills if nobody stopped it."""
        errors = open(log, "wb") if log else subprocess.DEVNULL
        process = subprocess.Popen([str(word) for word in (self.aqpipe, *words)], stdout=subprocess.DEVNULL, stderr=errors)
        self.processes.append(process)
        return process

    def stop(self, process, timeout=120):
        """Ends a process as a service manager does."""
        process.send_signal(signal.SIGTERM)
        if process.wait(timeout):
            sys.exit(f"a process ended with {process.returncode}")

    def topic(self, name, partitions=1, **config):
        """Creates a topic."""
        from confluent_kafka.admin import NewTopic
        new = NewTopic(name, partitions, 1, config={key.replace("_", "."): value for key, value in config.items()})
        self.admin().create_topics([new])[name].result(30)
        return name

    def admin(self):
        if self.admin_client is None:
            from confluent_kafka.admin import AdminClient
            self.admin_client = AdminClient({"bootstrap.servers": self.brokers, "log_level": 0})
        return self.admin_client

    def producer(self, **config):
        from confluent_kafka import Producer
        config = {key.replace("_", "."): value for key, value in config.items()}
        return Producer({"bootstrap.servers": self.brokers, "linger.ms": 20, "compression.type": "lz4",
                         "queue.buffering.max.messages": 1_000_000, "log_level": 0} | config)

    def send(self, topic, messages):
        """Sends (key, value, partition or -1); returns how many."""
        producer, count = self.producer(), 0
        for key, value, partition in messages:
            while True:
                try:
                    producer.produce(topic, value, key=key, partition=partition)
                    break
                except BufferError:
                    producer.poll(0.1)
            count += 1
            if count % 10_000 == 0:
                producer.poll(0)
        if producer.flush(120):
            sys.exit(f"the brokers did not take all messages of `{topic}`")
        return count


def csv_source(path, fields=FIELDS, key='{ name = "station", value = "uci" }'):
    return f"""[source]
type = "csv"
path = "{path}"
delimiter = ";"
decimal = ","
missing = [-200]
timestamp = {{ columns = ["Date", "Time"], format = "%d/%m/%Y %H.%M.%S" }}
timezone = "+01:00"
key = {key}
fields = {json.dumps(fields)}
"""


def kafka_source(brokers, topic, fields=FIELDS, until_end=True, more=""):
    return f"""[source]
type = "kafka"
brokers = "{brokers}"
topics = ["{topic}"]
until_end = {str(until_end).lower()}
key = "station"
fields = {json.dumps(fields)}
{more}
"""


def impute(*steps):
    return f'[[transform]]\ntype = "impute"\nsteps = [{", ".join(steps)}]\n'


def kafka_sink(brokers, topic, partitions=1):
    return f"""[sink]
type = "kafka"
brokers = "{brokers}"
topic = "{topic}"
compression = "lz4"
create_topic = {{ partitions = {partitions}, replication = 1 }}
"""


def csv_sink(path, batch_size=10_000, more=""):
    return f'[sink]\ntype = "csv"\ndir = "{path}"\nbatch_size = {batch_size}\n{more}\n'


def block_of_cells(rows=100_000):
    """The cells of so many rows, with the gaps of a real network: a tenth of the cells, in runs, and one field nearly always."""
    state, gap, block = 12345, [0] * len(FIELDS), []
    for _ in range(rows):
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
        block.append(";".join(cells) + ";;\r\n")
    return block


def csv_time(seconds):
    return time.strftime("%d/%m/%Y;%H.%M.%S;", time.gmtime(FIRST_TIME + seconds))


def write_csv(path, rows):
    """A row a minute. Cells repeat after 100,000 rows."""
    block = block_of_cells(min(rows, 100_000))
    with open(path, "w", newline="") as out:
        out.write(";".join(["Date", "Time"] + FIELDS) + ";;\r\n")
        for start in range(0, rows, max(len(block), 1)):
            times = (csv_time(60 * row) for row in range(start, min(start + len(block), rows)))
            out.writelines(when + cells for when, cells in zip(times, block))
    return path


def write_stations(path, stations, each):
    """So many rows of each station, one an hour, in turn by time; the column `station` is the key."""
    block = block_of_cells(10_007)
    names = [f"s{station:06};" for station in range(stations)]
    with open(path, "w", newline="") as out:
        out.write(";".join(["station", "Date", "Time"] + FIELDS) + ";;\r\n")
        row = 0
        for hour in range(each):
            when = csv_time(3600 * hour)
            for name in names:
                out.write(name + when + block[row % len(block)])
                row += 1
    return path


STATION_KEY = '{ name = "station", column = "station" }'


def messages(stations, each, first=0, partitions=None):
    """JSON of so many records of each station, one an hour, in turn by time, with a gap in three of a hundred cells; each with its
    key and its partition, which is left to the producer where `partitions` is None."""
    chance = random.Random(1)
    cell = lambda: "null" if chance.random() < 0.03 else f"{chance.randrange(1, 15000) / 10}"
    cells = [",".join(f'"{field}":{cell()}' for field in FIELDS) for _ in range(5_003)]
    number = 0
    for hour in range(first, first + each):
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(FIRST_TIME + 3600 * hour))
        for station in range(stations):
            value = f'{{"station":"s{station:06}","timestamp":"{when}",{cells[number % len(cells)]}}}'
            yield f"s{station:06}", value, -1 if partitions is None else station % partitions
            number += 1


def cpu_of(pid):
    """CPU seconds of a running process."""
    words = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def proc_number(pid, file, key):
    """A number of /proc/PID/status or /proc/PID/io."""
    for line in pathlib.Path(f"/proc/{pid}/{file}").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    raise KeyError(key)


def wait_until(holds, what, timeout=120.0, interval=0.05):
    """Waits for a condition; ends the script where it does not come."""
    deadline = time.monotonic() + timeout
    while not holds():
        if time.monotonic() > deadline:
            sys.exit(f"in vain for {timeout:.0f} s: {what}")
        time.sleep(interval)


def setting(options, command):
    """The line that says what was measured, and where."""
    version = subprocess.run([str(options.aqpipe), "--version"], capture_output=True, text=True).stdout.strip()
    commit = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"], capture_output=True, text=True).stdout.strip()
    return f"`{command}`; {version} ({commit}), {platform.system()} on {os.cpu_count()} processors, broker on the same ones."


def table(head, rows):
    """A table of Markdown; columns that hold numbers are aligned to the right."""
    lines = ["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


def write_section(name, text):
    """Replaces the section of this name in README.md."""
    readme = BENCHES / "README.md"
    before, begin, rest = readme.read_text().partition(f"<!-- {name} -->\n")
    old, end, after = rest.partition(f"<!-- /{name} -->")
    if not end:
        sys.exit(f"README.md has no section `{name}`")
    readme.write_text(before + begin + text.strip() + "\n" + end + after)
