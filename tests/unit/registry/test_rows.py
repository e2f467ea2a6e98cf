import numpy as np

from training.registry.rows import identifying, unseen


def test_unseen():
    assert unseen(np.array([1, 2, 3], np.uint64), np.array([2, 5], np.uint64)).tolist() == [True, False, True]


def test_only_what_occurs_once_identifies_a_row():
    assert identifying(np.array([5, 2, 2, 9], np.uint64)).tolist() == [5, 9]
