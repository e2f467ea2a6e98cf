"""The example consumer on real Serve: single rows at a steady rate while the champion is swapped."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pandas as pd

from benchmarks.report import Row, percentile
from benchmarks.service import ROOT, free_port
from ray_app.services.webhook_signature import sign
from training.data import DataAccess
from training.events import SilentObserver
from training.pipeline import Workplace, run
from training.registry import Registry
from training.spec import TrainSpec, parse_spec

RATE, SECONDS, SWAP_AT_S, CONNECTIONS = 200, 30.0, 8.0, 24
SECRET = "the secret of the hook"  # noqa: S105  # of a benchmark that ends with it
START_S = 120.0


@dataclass
class Answers:
    """What callers saw: seconds from the moment a request was due, status, version."""

    spent_s: list[float] = field(default_factory=list)
    due_s: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    late_s: list[float] = field(default_factory=list)
    """How much later than due the generator itself got to a request; part of `spent_s`."""
    cpu_s: float = 0.0
    """What the generator used."""


@contextmanager
def training_service(folder: Path) -> Iterator[tuple[str, Registry]]:
    """The answers of the training service about a model with two versions, over HTTP."""
    registry = Registry(f"sqlite:///{folder / 'mlflow.db'}", str(folder / "artifacts"))
    workplace = Workplace(DataAccess((str(ROOT / "examples" / "data"),), ROOT), registry)
    bundles = {}
    for number in (1, 2):
        spec = {
            "name": "german", "promotion": {"policy": "always" if number == 1 else "never"},
            "data": {"source": {"type": "file", "uri": "examples/data/german_credit.csv"}, "target": "creditability"},
            "evaluation": {"bootstrap_samples": 0, "explain": False}, "split": {"seed": number},
        }  # fmt: skip
        run(parse_spec(TrainSpec, spec), workplace, SilentObserver(), job_id=f"job_{number}")
        (folder / str(number)).mkdir()
        archive, digest = registry.bundle(registry.version("german", str(number)), folder / str(number))
        bundles[str(number)] = archive.read_bytes(), digest

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = self.path.split("?")[0].removeprefix("/api/v1/models/german").strip("/").split("/")
            if parts == [""]:
                content, headers = registry.model("german").model_dump_json().encode(), {}
            else:
                content, digest = bundles[parts[1]]
                headers = {"ETag": f'"{digest}"'}
            self.send_response(200)
            for name, value in {"Content-Length": str(len(content)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", registry
    finally:
        server.shutdown()


@contextmanager
def consumer(training: str, folder: Path) -> Iterator[int]:
    """`python -m examples.risk_service`, ready; its port."""
    port = free_port()
    (folder / "secret").write_text(SECRET)
    command = [sys.executable, "-m", "examples.risk_service", "--model", "german", "--training", training,
               "--port", str(port), "--webhook-secret-file", str(folder / "secret")]  # fmt: skip
    environment = os.environ | {"RAY_AUTH_MODE": "disabled", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)  # as the README starts it
    with (folder / "consumer.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=ROOT, env=environment)
    try:
        deadline = time.monotonic() + START_S
        while not is_ready(port):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError((folder / "consumer.log").read_text()[-2000:])
            time.sleep(0.2)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def is_ready(port: int) -> bool:
    """Whether the consumer uses a version; while it starts, nothing listens."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/v2/health/ready").status_code == httpx.codes.OK
    except httpx.TransportError:
        return False


def one_row() -> bytes:
    frame = pd.read_csv(ROOT / "examples" / "data" / "german_credit.csv").drop(columns="creditability").head(1)
    inputs = [{"name": name, "shape": [1], "datatype": "BYTES", "data": frame[name].tolist()} for name in frame]
    return json.dumps({"inputs": inputs}).encode()


async def ask(port: int, body: bytes, moments: asyncio.Queue[float | None], seen: Answers, started: float) -> None:
    """One connection: sends a request at each moment that it takes from the queue."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = (f"POST /v2/models/german/infer HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n").encode()  # fmt: skip
    while (due := await moments.get()) is not None:
        writer.write(head + body)
        answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(answer.split("content-length:")[1].split("\r\n")[0])
        content = await reader.readexactly(length)
        seen.spent_s.append(time.perf_counter() - due)
        seen.due_s.append(due - started)
        seen.statuses[int(answer.split()[1])] += 1
        if answer.split()[1] == "200":
            seen.versions[json.loads(content)["model_version"]] += 1
    writer.close()


async def requests(port: int, rate: float, seconds: float, body: bytes) -> Answers:
    """Requests at even distances, whether or not earlier ones were answered."""
    seen, moments = Answers(), asyncio.Queue[float | None]()
    started, used_s = time.perf_counter(), time.process_time()
    callers = [asyncio.create_task(ask(port, body, moments, seen, started)) for _ in range(CONNECTIONS)]
    for number in range(int(rate * seconds)):
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        seen.late_s.append(time.perf_counter() - due)
        moments.put_nowait(due)
    for _ in callers:
        moments.put_nowait(None)
    await asyncio.gather(*callers)
    seen.cpu_s = time.process_time() - used_s
    return seen


def load(port: int, rate: float, seconds: float, body: bytes) -> Answers:
    """The load, in a process that does nothing else: what a swap costs the registry must not delay its clock."""
    return asyncio.run(requests(port, rate, seconds, body))


def measured() -> tuple[Answers, Answers]:
    """Without and with a swap."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        with training_service(folder) as (address, registry), consumer(address, folder) as port:

            def swap() -> None:
                registry.promote("german", "2", reason="", by="benchmark")
                content = b'{"type": "version.promoted"}'
                signed = {"MTS-Signature": sign(SECRET, content, int(time.time()))}
                httpx.post(f"http://127.0.0.1:{port}/hooks", content=content, headers=signed).raise_for_status()

            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as generator:
                body = one_row()
                generator.submit(load, port, RATE, 5, body).result()  # what is slow the first time
                steady = generator.submit(load, port, RATE, 10, body).result()
                swapped = generator.submit(load, port, RATE, SECONDS, body)
                time.sleep(SWAP_AT_S)
                swap()
                return steady, swapped.result()


def rows() -> list[Row]:
    """Measures."""
    steady, swapped = measured()
    failed = sum(count for status, count in swapped.statuses.items() if status != httpx.codes.OK)
    note = f"{dict(swapped.versions)} answered by version; p50 {percentile(swapped.spent_s, 0.5) * 1000:.1f} ms"
    calm = f"p50 {percentile(steady.spent_s, 0.5) * 1000:.1f} ms"
    count, own_ms = len(swapped.spent_s), percentile(swapped.late_s, 0.99) * 1000
    own = f"{swapped.cpu_s / count * 1000:.2f} ms CPU per request; p99 late by {own_ms:.1f} ms, which counts above"
    return [
        Row(f"risk service, {RATE} rows/s, p99", percentile(steady.spent_s, 0.99) * 1000, None, "ms", 50.0, calm),
        Row("the same while a swap happens, p99", percentile(swapped.spent_s, 0.99) * 1000, None, "ms", 50.0, note),
        Row("the same, failed requests", float(failed), None, "", 0.0, f"of {sum(swapped.statuses.values())}"),
        Row("the load generator's share of a core", swapped.cpu_s / SECONDS, None, "", 0.2, own),
        Row("versions that did not answer", float(2 - len(swapped.versions)), None, "", 0.0, ""),
    ]
