"""Interventions: a failed case asked again, freshly drawn, with one thing changed."""

from __future__ import annotations

from collections.abc import Mapping

from knowhow.diagnose.case import Case, Lab
from knowhow.types import Move, Trial


def moves(case: Case, lab: Lab) -> Mapping[Move, str]:
    """Every move with "" where it is possible, else the reason why it is not."""
    raise NotImplementedError


def attempt(case: Case, lab: Lab, move: Move, draw: int) -> Trial:
    """One draw of one intervention. `draw` counts from 0 over all trials of the case; none repeats one of the run's.

    Raises `ProviderProblem` where the model cannot be used.
    """
    raise NotImplementedError
