from __future__ import annotations

import socket

import pytest

from ray_app.local.ports import SEARCH_LIMIT, is_free, next_free


def test_a_port_that_somebody_listens_on_is_not_free_and_the_next_one_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not is_free(port)
        assert next_free(port) > port
    assert is_free(port)


def test_ports_that_were_given_out_already_are_passed_over() -> None:
    first = next_free(0)
    second = next_free(first, taken={first})
    assert second != first


def test_when_no_port_is_free_the_error_names_the_range() -> None:
    with pytest.raises(OSError, match=r"no free port from 20000 to 20199 on 127\.0\.0\.1"):
        next_free(20000, taken=range(20000, 20000 + SEARCH_LIMIT))
