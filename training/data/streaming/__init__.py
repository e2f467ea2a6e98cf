"""Rows that come in pieces: types are settled once all are seen, and more than memory holds go to disk."""

from training.data.streaming.gathered import Gathered, gather
from training.data.streaming.piece import USE_KEY, Piece

__all__ = ["USE_KEY", "Gathered", "Piece", "gather"]
