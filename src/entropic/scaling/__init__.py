"""Scaling studies: a matrix of runs, what they cost, and whether scale changes the thermodynamic outcome."""

from entropic.scaling.analysis import analyse
from entropic.scaling.results import dataset, write_results
from entropic.scaling.runner import StudyObserver, run_study
from entropic.scaling.store import StudyStore
from entropic.scaling.study import Study

__all__ = ["Study", "StudyObserver", "StudyStore", "analyse", "dataset", "run_study", "write_results"]
