"""Monitoring in figures: performance without labels against the truth, inflow, reports, power and false alarms."""

from __future__ import annotations

import io
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from benchmarks.report import Row, show, timed_s
from training.data.table import Column, Rows, TableSchema
from training.models import FitContext, FitData
from training.models.families import family_of
from training.monitoring.analyse import Analysis, analyse
from training.monitoring.drift import DRIFT_TESTS, CategoricalSample, DriftTest, NumericSample, Sample
from training.monitoring.inflow import Receiver
from training.monitoring.profile import ReferenceProfile, build_profile
from training.monitoring.results import MonitorReport
from training.monitoring.schema import FEATURE, MonitoredSchema
from training.monitoring.spec import MonitorSpec
from training.monitoring.store import StreamStore
from training.monitoring.stream import observe
from training.mts_scoring.columns import Feature
from training.mts_scoring.model import ScoringModel
from training.spec import TrainSpec, parse_spec

CAR_LOAN = Path(os.environ.get("MTS_BENCH_DATA", "../shared/data")) / "nannyml_car_loan.parquet"
TARGET, PARQUET = "repaid", "application/vnd.apache.parquet"
MONTH_ROWS = 5_000
"""Rows of a window: a month of the car-loan stream, as in NannyML's own examples."""
DRIFT_WINDOW = 5
"""The first window of the analysis period after the shift."""
NANNYML_PYTHON = os.environ.get("MTS_BENCH_NANNYML")
"""Python of an environment of its own that has NannyML: it pins an older XGBoost than ours. Without it, no such row.
NannyML 0.13.1 ran with pandas < 3, numpy < 2.4, scikit-learn < 1.7, scipy < 1.16, and statsmodels, not named by it."""
NANNYML_SCRIPT = """
import json, sys, warnings
warnings.filterwarnings("ignore")
import nannyml, pandas
reference, analysis = (pandas.read_parquet(path) for path in sys.argv[1:3])
estimator = nannyml.CBPE(problem_type="classification_binary", y_pred_proba="score", y_pred="decided", y_true="actual",
                         metrics=["roc_auc"], chunk_size=int(sys.argv[3]))
found = estimator.fit(reference).estimate(analysis).filter(period="analysis").to_df()
print(json.dumps(found["roc_auc"]["value"].tolist()))
"""
FEATURES, STREAM_ROWS, BATCH_ROWS = 20, 1_000_000, 100_000
SHIFTS, SIZES = (0.0, 0.1, 0.25, 0.5), (1_000, 100_000)
STATIONARY_WINDOWS = 200


def car_loan_model(frame: pd.DataFrame) -> tuple[ScoringModel, ReferenceProfile]:
    """Trained on 60 % of the reference period; the other 40 % are its hold-out rows."""
    kinds = {
        name: "categorical" if column.dtype == object else "boolean" if column.dtype == bool else "numeric"
        for name, column in frame.items()
        if name not in {TARGET, "timestamp", "part"}
    }
    order = np.random.default_rng(0).permutation(len(frame))
    train, validation, test = (np.sort(part) for part in np.split(order, [len(order) // 2, int(len(order) * 0.6)]))

    def rows(chosen: np.ndarray) -> Rows:
        part = frame.iloc[chosen].reset_index(drop=True)
        return Rows(part[list(kinds)], part[TARGET].to_numpy().astype(np.int64), None)

    columns = tuple(Column(name, kind, "feature", 0, 3) for name, kind in kinds.items())
    schema = TableSchema(columns, TARGET, "binary", ("0", "1"), ())
    source = {"source": {"type": "file", "uri": "car_loan.parquet"}, "target": TARGET}
    spec = parse_spec(TrainSpec, {"name": "car-loan", "data": source})
    fitted = family_of(spec.model).fit(spec.model, FitData(schema, rows(train), rows(validation)), FitContext(seed=0))
    features = tuple(Feature(name, kind) for name, kind in kinds.items())
    model = ScoringModel(fitted.predictor, "binary", ("0", "1"), features, TARGET, 0.5)
    held_out = rows(test)
    return model, build_profile(model, held_out.frame, held_out.target)


def send(store: StreamStore, schema: MonitoredSchema, frame: pd.DataFrame) -> None:
    """Posts predictions as a caller does, in Parquet batches, past HTTP."""
    now = datetime.now(UTC)
    receiver = Receiver(schema, "1", lambda _: True, now)
    for start in range(0, len(frame), BATCH_ROWS):
        body = io.BytesIO()
        frame.iloc[start : start + BATCH_ROWS].to_parquet(body, index=False)
        store.append("predictions", receiver.predictions(body.getvalue(), PARQUET).table, now)


def report(store: StreamStore, profile: ReferenceProfile, **spec: object) -> MonitorReport:
    """A check, without its job."""
    monitor = MonitorSpec.model_validate({"name": "bench", "model": {"name": "bench"}, **spec})
    observed = observe(store, profile.schema, "1")
    return analyse(Analysis(monitor, profile), observed, version="1", fingerprint="", now=datetime.now(UTC))


def car_loan_rows() -> list[Row]:
    """CBPE on the car-loan set: against the realised ROC AUC, and where alarms are."""
    frame = pd.read_parquet(CAR_LOAN)
    parts = {part: rows.reset_index(drop=True) for part, rows in frame.groupby("part")}
    model, profile = car_loan_model(parts["reference"])
    with tempfile.TemporaryDirectory(prefix="mts-bench-") as folder:
        tables = {name: scored(model, rows, name) for name, rows in parts.items()}
        store = StreamStore(folder, "analysis")
        send(store, profile.schema, tables["analysis"])
        found = report(store, profile, window={"rows": MONTH_ROWS})
        calm = StreamStore(folder, "reference")
        send(calm, profile.schema, tables["reference"])
        reference = report(calm, profile, window={"rows": MONTH_ROWS})
    estimates = np.array([window.estimated[0].value for window in found.windows])
    months = [slice(start, start + MONTH_ROWS) for start in range(0, len(tables["analysis"]), MONTH_ROWS)]
    score, actual = tables["analysis"]["score"], parts["analysis"][TARGET]
    truth = np.array([roc_auc_score(actual[month], score[month]) for month in months])
    theirs = nannyml_estimates(profile, score, actual)
    drifted = found.windows[DRIFT_WINDOW].findings
    early = sum(len(window.findings) for window in found.windows[:DRIFT_WINDOW])
    return [
        Row("car loan: CBPE of ROC AUC against the realised one, mean absolute error",
            float(np.abs(estimates - truth).mean()), None, "", 0.01, f"largest {np.abs(estimates - truth).max():.4f}"),
        Row("car loan: the drift month raises no alarm in its first window", float(not drifted), None, "", 0,
            ", ".join(sorted({finding.kind for finding in drifted}))),
        Row("car loan: alarms before the drift, 5 months of analysis", early, None, "", 0),
        Row("car loan: alarms in the reference period, 10 months",
            sum(len(window.findings) for window in reference.windows), None, "", 0,
            "60 % of these rows trained the model: their drift is judged, their performance is not comparable"),
        *(Row("car loan: CBPE against NannyML's on the same scores, largest difference",
              float(np.abs(estimates - theirs).max()), None, "", 0.005,
              f"{np.abs(estimates - theirs).max():.6f}, mean {np.abs(estimates - theirs).mean():.6f}")
          for theirs in theirs),
    ]  # fmt: skip


def nannyml_estimates(profile: ReferenceProfile, score: pd.Series, actual: pd.Series) -> list[np.ndarray]:
    """What NannyML estimates for the same scores with the same reference; empty without its environment."""
    if NANNYML_PYTHON is None:
        return []
    threshold = profile.schema.threshold or 0.5
    reference = pd.DataFrame({"score": profile.table["score.0"].to_numpy(), "actual": profile.actual.astype(int)})
    analysis = pd.DataFrame({"score": score, "actual": actual.astype(int)})
    with tempfile.TemporaryDirectory(prefix="mts-bench-") as folder:
        paths = [str(Path(folder) / f"{name}.parquet") for name in ("reference", "analysis")]
        for path, frame in zip(paths, (reference, analysis), strict=True):
            frame.assign(decided=(frame["score"] >= threshold).astype(int)).to_parquet(path)
        environment = {"PATH": os.environ["PATH"], "NML_DISABLE_USAGE_LOGGING": "1"}
        command = [NANNYML_PYTHON, "-c", NANNYML_SCRIPT, *paths, str(MONTH_ROWS)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return [np.array(json.loads(answer.splitlines()[-1]))]


def scored(model: ScoringModel, frame: pd.DataFrame, prefix: str) -> pd.DataFrame:
    """Predictions as a caller sends them."""
    features = frame[[feature.name for feature in model.features]]
    return features.assign(
        id=[f"{prefix}-{number}" for number in range(len(frame))],
        time=frame["timestamp"],
        score=model.scores(features)[:, 1],
    )


def stream_rows() -> list[Row]:
    """A million predictions with 20 features: their inflow in this process, and the report in one of its own."""
    with tempfile.TemporaryDirectory(prefix="mts-bench-") as folder:
        generator = np.random.default_rng(0)
        profile = wide_profile(generator)
        Path(folder, "profile.parquet").write_bytes(profile.dumped())
        store, taken_s = StreamStore(folder, "wide"), 0.0
        receiver = Receiver(profile.schema, "1", lambda _: True, datetime.now(UTC))
        for number in range(STREAM_ROWS // BATCH_ROWS):
            body = io.BytesIO()
            wide_batch(generator, number).to_parquet(body, index=False)

            def take(body: bytes = body.getvalue()) -> None:
                store.append("predictions", receiver.predictions(body, PARQUET).table, datetime.now(UTC))

            taken_s += timed_s(take)
        command = [sys.executable, "-m", "benchmarks.monitoring", "report", folder]
        answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    seconds, peak_mb = (float(word) for word in answer[-2:])
    rate = STREAM_ROWS / taken_s
    return [
        Row("seconds to take 50,000 predictions (Parquet, 20 features, on disk)", 50_000 / rate, None, "s", 1.0,
            f"{rate:,.0f} rows/s over {STREAM_ROWS:,}"),
        Row("report on 1,000,000 predictions, 10 windows", seconds, None, "s", 15),
        Row("the same, peak memory of its process", peak_mb, None, "MB", 1000),
    ]  # fmt: skip


def wide_profile(generator: np.random.Generator) -> ReferenceProfile:
    """20 numeric features, a calibrated score."""
    rows = 20_000
    columns = {f"{FEATURE}x{n}": pa.array(generator.normal(size=rows)) for n in range(FEATURES)}
    scores = generator.beta(2, 3, rows)
    columns |= {"score.0": pa.array(scores), "actual": pa.array((generator.random(rows) < scores).astype(float))}
    features = tuple(Feature(f"x{n}", "numeric") for n in range(FEATURES))
    schema = MonitoredSchema("binary", ("no", "yes"), features, "y", 0.5)
    return ReferenceProfile(schema, pa.table(columns), rows, {feature.name: 1.0 for feature in features})


def wide_batch(generator: np.random.Generator, number: int) -> pd.DataFrame:
    """100,000 predictions."""
    frame = pd.DataFrame({f"x{n}": generator.normal(size=BATCH_ROWS) for n in range(FEATURES)})
    start = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number * BATCH_ROWS)
    frame["id"] = [f"p{number * BATCH_ROWS + row}" for row in range(BATCH_ROWS)]
    frame["time"] = pd.date_range(start, periods=BATCH_ROWS, freq="s")
    frame["score"] = generator.beta(2, 3, BATCH_ROWS)
    return frame


def report_alone(folder: str) -> None:
    """Prints the seconds and the peak memory (MB) of a report."""
    profile = ReferenceProfile.parsed(Path(folder, "profile.parquet").read_bytes())
    seconds = timed_s(lambda: report(StreamStore(folder, "wide"), profile, window={"rows": BATCH_ROWS}))
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def stationary_rows() -> list[Row]:
    """Share of windows of a stationary stream that alarm, all kinds of alarm together, with outcomes."""
    alarmed = 0
    for seed in range(4):
        generator = np.random.default_rng(seed)
        profile, rows = wide_profile(generator), STATIONARY_WINDOWS // 4 * 1_000
        with tempfile.TemporaryDirectory(prefix="mts-bench-") as folder:
            store, now = StreamStore(folder, "calm"), datetime.now(UTC)
            frame = wide_batch(generator, 0).head(rows)
            send(store, profile.schema, frame)
            actual = np.where(generator.random(rows) < frame["score"], "yes", "no")
            body = io.BytesIO()
            pd.DataFrame({"id": frame["id"], "actual": actual}).to_parquet(body, index=False)
            receiver = Receiver(profile.schema, "1", lambda _: True, now)
            store.append("outcomes", receiver.outcomes(body.getvalue(), PARQUET).table, now)
            found = report(store, profile, window={"rows": 1_000})
        alarmed += sum(bool(window.findings) for window in found.windows)
    return [
        Row("stationary stream: share of windows that alarm", alarmed / STATIONARY_WINDOWS, None, "", 0.01,
            f"{alarmed} of {STATIONARY_WINDOWS} windows of 1,000 rows, 20 features, 4 references"),
    ]  # fmt: skip


def samples(generator: np.random.Generator, test: DriftTest, rows: int, shift: float) -> Sample:
    """A normal column shifted by so many standard deviations; cut into five labels for categorical tests."""
    values = generator.normal(size=rows) + shift
    if "numeric" in test.kinds:
        return NumericSample.of(values)
    labels, counts = np.unique(np.digitize(values, [-1.0, -0.3, 0.3, 1.0]), return_counts=True)
    return CategoricalSample({str(label): int(count) for label, count in zip(labels, counts, strict=True)})


def power() -> Iterator[tuple[str, int, list[float]]]:
    """Share of windows called drifted at 1 %, by test, rows and shift; the reference has 20,000 rows."""
    for name, test in DRIFT_TESTS.items():
        for rows in SIZES:
            shares = []
            for shift in SHIFTS:
                repeats = 400 if rows == 1_000 else 60
                if shift == 0:
                    repeats *= 2
                generator = np.random.default_rng(int(1000 * shift) + rows)
                found = 0
                for _ in range(repeats):
                    reference = samples(generator, test, 20_000, 0.0)
                    measure = test.measure(reference, samples(generator, test, rows, shift))
                    found += measure.p_value <= 0.01 and measure.excess > test.min_effect
                shares.append(found / repeats)
            yield name, rows, shares


def show_power() -> None:
    """Prints the table."""
    table = Table(
        "test", "rows", *(f"shift {shift:g} sd" for shift in SHIFTS), title="share of windows called drifted at 1 %"
    )
    for name, rows, shares in power():
        table.add_row(name, f"{rows:,}", *(f"{share:.3f}" for share in shares))
    Console(width=120).print(table)


def rows() -> list[Row]:
    """Measures all; the car-loan figures where the set is at hand."""
    show_power()
    car_loan = car_loan_rows() if CAR_LOAN.exists() else []
    return [*car_loan, *stationary_rows(), *stream_rows()]


if __name__ == "__main__":
    if sys.argv[1:2] == ["report"]:
        report_alone(sys.argv[2])
    elif sys.argv[1:2] == ["power"]:
        show_power()
    else:
        parts = {"car_loan": car_loan_rows, "stream": stream_rows, "stationary": stationary_rows}
        show([row for name in sys.argv[1:] or parts for row in parts[name]()])
