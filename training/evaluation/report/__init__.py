"""The evaluation report: what a risk committee reads before a version is used, as data and as a page."""

from training.evaluation.report.build import ReportInputs, build_report
from training.evaluation.report.model import Report, Study
from training.evaluation.report.page import render_page
from training.evaluation.report.study import study_of

__all__ = ["Report", "ReportInputs", "Study", "build_report", "render_page", "study_of"]
