import threading

import pytest

from hilserl_drivers.loop import DriverLoop


class FakeDriver:
    """Counts its cycles; fails in the third."""

    def __init__(self) -> None:
        self.cycles = 0
        self.stopped = ""
        self.threads: set[int] = set()

    def cycle(self):
        self.cycles += 1
        self.threads.add(threading.get_ident())
        if self.cycles == 3:
            raise ZeroDivisionError("in the third cycle")
        return self.cycles

    def stop(self, reason: str) -> None:
        self.stopped = reason


def test_one_thread_owns_the_driver_and_survives_its_mistakes():
    driver, samples, failures = FakeDriver(), [], []
    enough = threading.Event()

    def on_sample(sample: int) -> None:
        samples.append(sample)
        if sample > 10:
            enough.set()

    loop = DriverLoop(driver, 1000.0, on_sample, failures.append)
    assert enough.wait(30)
    assert [repr(failure) for failure in failures] == ["ZeroDivisionError('in the third cycle')"]
    assert "in the third cycle" in driver.stopped
    assert samples[:4] == [1, 2, 4, 5]
    owner = loop.do(threading.get_ident).result(30)
    assert driver.threads == {owner}
    assert owner != threading.get_ident()

    def fail() -> None:
        raise ValueError("as asked")

    with pytest.raises(ValueError, match="as asked"):
        loop.do(fail).result(30)
    timing = loop.timing()
    assert timing.worst >= timing.period > 0
    assert timing.rate > 0
    last: list[str] = []
    loop.end(lambda: last.append("closed"))
    assert last == ["closed"]
