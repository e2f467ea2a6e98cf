"""`python -m examples.risk_service --model german-credit`: the consumer on a Ray of its own."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import ray
from ray import serve

from examples.risk_service.app import build

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--model", required=True, help="registered model whose champion is used")
parser.add_argument("--training", default="http://127.0.0.1:8000", help="the training service")
parser.add_argument("--port", type=int, default=8100)
parser.add_argument("--monitor", help="monitor of the training service that hears of predictions")
parser.add_argument("--webhook-secret-file", type=Path)
asked = parser.parse_args()

ray.init(num_cpus=1, include_dashboard=False)
serve.start(http_options={"host": "127.0.0.1", "port": asked.port})
secret = asked.webhook_secret_file.read_text().strip() if asked.webhook_secret_file else None
serve.run(build(asked.training, asked.model, asked.monitor, secret), name="risk")
print(f"listening on http://127.0.0.1:{asked.port}", flush=True)
while True:
    time.sleep(3600)
