"""The evaluation report: what a risk committee reads before a version is used, as data and as a page."""

from training.evaluation.report.build import ReportInputs, build_report
from training.evaluation.report.model import Report
from training.evaluation.report.page import render_page

__all__ = ["Report", "ReportInputs", "build_report", "render_page"]
