from functools import partial
from threading import Event

from training.registry import outbox as outbox_module
from training.registry.outbox import MetricBuffer, Outbox


def test_calls_are_made_in_order_and_a_failed_one_stops_nothing(monkeypatch):
    monkeypatch.setattr(outbox_module, "AWAY_PAUSE_S", 0.0)
    made, outbox = [], Outbox("test")

    def fail():
        raise OSError("away")

    outbox.put(lambda: made.append(1))
    outbox.put(fail)
    outbox.put(lambda: made.append(2))
    assert outbox.close(10)
    assert made == [1, 2]
    assert outbox.problems == ["recording the run failed: away"]


def test_a_call_that_hangs_is_not_waited_for():
    release, outbox = Event(), Outbox("test")
    outbox.put(release.wait)
    assert not outbox.close(0.01)
    release.set()
    assert outbox.close(10)


def test_an_outbox_without_calls_needs_no_thread():
    assert Outbox("test").close(0)


def test_figures_are_gathered_until_they_are_wanted():
    sent = []
    buffer = MetricBuffer(sent.append, interval_s=1000)
    for step in range(3):
        buffer.add({"loss": 0.5, "auc": 0.9}, step)
    assert sent == []
    buffer.flush()
    assert [(name, value, step) for name, value, _, step in sent[0]] == [
        (name, value, step) for step in range(3) for name, value in (("loss", 0.5), ("auc", 0.9))
    ]
    buffer.flush()
    assert len(sent) == 1


def test_an_interval_that_is_over_sends_at_once():
    sent = []
    MetricBuffer(sent.append, interval_s=0).add({"loss": 0.5}, 0)
    assert len(sent) == 1


def test_what_a_server_that_is_away_could_not_take_is_sent_in_order_when_it_is_back(monkeypatch):
    monkeypatch.setattr(outbox_module, "AWAY_PAUSE_S", 0.0)
    back, missed, made = Event(), Event(), []

    def send(number):
        if not back.is_set():
            raise OSError("away")
        made.append(number)

    def is_away():
        # whoever finds it away will call again
        missed.set()
        return len(made) == 0

    outbox = Outbox("test", is_away)
    for number in range(3):
        outbox.put(partial(send, number))
    assert missed.wait(10)
    back.set()
    assert outbox.close(10)
    assert made == [0, 1, 2]
    assert outbox.problems == []


def test_a_server_that_stays_away_is_given_up_when_the_job_is_over(monkeypatch):
    monkeypatch.setattr(outbox_module, "AWAY_PAUSE_S", 0.0)

    def fail():
        raise OSError("away")

    outbox = Outbox("test", lambda: True)
    outbox.put(fail)
    assert not outbox.close(0.01)
    assert outbox.close(10)
    assert outbox.problems == ["recording the run failed: away"]


def test_a_call_that_was_cut_off_by_a_server_that_is_back_already_is_made_again(monkeypatch):
    monkeypatch.setattr(outbox_module, "AWAY_PAUSE_S", 0.0)
    calls, made = [], []

    def send():
        calls.append(None)
        if len(calls) == 1:
            raise OSError("server closed the connection unexpectedly")
        made.append("ended")

    outbox = Outbox("test", lambda: False)
    outbox.put(send)
    assert outbox.close(10)
    assert made == ["ended"]
    assert outbox.problems == []
