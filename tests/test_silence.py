"""Who has gone silent, told from looks at when each worker was last heard of."""

from __future__ import annotations

from entropic.engine.silence import Silence


def test_a_silent_worker_is_told_once_and_forgiven() -> None:
    silence = Silence()
    told = []
    for second in range(60):
        silence.look({"a": float(second), "b": 7.0 if second < 50 else float(second)}, float(second))
        told += [(second, worker) for worker in silence.newly_silent()]
    assert told == [(31, "b")]
    assert silence.of_all == 0


def test_a_worker_that_left_is_not_silent() -> None:
    silence = Silence()
    for second in range(60):
        silence.look({"a": float(second)} | ({"b": 1.0} if second < 10 else {}), float(second))
        assert silence.newly_silent() == []


def test_nobody_is_heard_of() -> None:
    silence = Silence()
    for second in range(31):
        silence.look({"a": 3.0} if second < 10 else {}, float(second))
    assert silence.of_all == 30


def test_no_work_is_done() -> None:
    silence = Silence()
    for second in range(31):
        silence.look({"a": float(second)}, float(second))
        if second <= 10:
            silence.works()
    assert silence.of_work == 20 and silence.of_all == 0


def test_a_driver_that_was_stopped_itself_takes_nobody_for_dead() -> None:
    silence = Silence()
    for second in (0, 1, 2, 600, 601):
        silence.look({"a": 3.0}, float(second))
        assert silence.newly_silent() == []
    assert silence.of_all == 8


def test_many_workers_speak_more_rarely() -> None:
    """Dask has 2000 workers speak every 11 s each."""
    silence = Silence()
    many = {str(number): 0.0 for number in range(2000)}
    for second in range(99):
        silence.look(many, float(second))
        assert silence.newly_silent() == []
    for second in range(99, 103):
        silence.look(many, float(second))
    assert len(silence.newly_silent()) == 2000
