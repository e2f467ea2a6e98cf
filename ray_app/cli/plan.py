"""The plan of a job that is not run."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from ray_app.cli.output import err, print_fields, print_line


def show_plan(plan: dict[str, Any]) -> None:
    """Prints what would happen."""
    data, resources = plan["data"], plan["resources"]
    rows = f"{data['train_rows']} train, {data['validation_rows']} validation, {data['test_rows']} test"
    model = ", ".join(f"{key} {value}" for key, value in plan["model"].items() if value not in (None, {}, []))
    print_fields([
        ("name", plan["spec"]["name"]),
        ("task", plan["task"]),
        ("classes", ", ".join(str(name) for name in plan["classes"])),
        ("metric", plan["primary_metric"]),
        ("data", f"{data['rows']} rows, {data['columns']} columns"),
        ("split", f"{data['split']}: {rows}"),
        ("model", model),
        ("runs on", f"{resources['num_workers']} x {resources['cpus_per_worker']} CPU, engine {plan['engine']}"),
    ])  # fmt: skip
    for role, columns in _by_role(plan["columns"]).items():
        print_line(f"{role}: {columns}")
    for warning in dict.fromkeys([*plan["warnings"], *data.get("warnings", [])]):
        err.print(f"warning: {warning}", markup=False, style="yellow")


def _by_role(columns: list[dict[str, Any]]) -> dict[str, str]:
    """Names of the columns by what they are used for, each with its kind, and with the reason where it is left out."""
    found: dict[str, list[str]] = defaultdict(list)
    for column in columns:
        reason = f", {column['reason']}" if column.get("reason") and column["role"] != "feature" else ""
        found[column["role"]].append(f"{column['name']} ({column['kind']}{reason})")
    return {role: ", ".join(names) for role, names in found.items()}
