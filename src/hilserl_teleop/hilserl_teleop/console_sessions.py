"""Who looks at the console, which one of them drives, and how much each may say.

Many pages may watch; one drives. A page drives from its takeover until it releases, goes away,
or is silent; whoever took over at the mux keeps the arm meanwhile, and it holds. Everybody may
stop. Free of ROS and of the network, with an injected clock.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from hilserl_core.step import Event
from hilserl_teleop.console_messages import (
    Drive,
    Message,
    MessageError,
    Press,
    ReleaseStop,
    Seen,
    View,
    parse,
)

MAX_SESSIONS = 16
RATE = 80.0
"""Messages a second that a page may send for long: 20 wishes, 10 acknowledgements, and keys."""
BURST = 160
REFUSALS = 500
"""Refused messages, not made up for by good ones, after which a page is disconnected."""
SILENT = 2.0
"""s without a wish after which another page may take the driver's place."""
AT_THE_MUX = 1.5
"""s that a takeover may take to be seen at the mux."""


class Operator(Protocol):
    """What becomes of the pages' wishes: an operator's device."""

    def drive(self, wish: Drive) -> None:
        """Where the driver wants to go, from now on until the next wish or soon."""

    def rest(self) -> None:
        """Nobody drives: nothing more is sent, and the mux holds the arm."""

    def press(self, event: Event) -> None:
        """What the operator decided."""

    def release_stop(self) -> None:
        """The stop shall end."""


class Refused(Exception):
    """A page is not let in; says why."""


@dataclass
class Session:
    """One page.

    Attributes:
        number: from 1, in the order of coming.
        address: where it is, for a person to read.
        cameras: whose pictures it shows.
        sent, seen: numbers of the newest picture message sent to it, and received by it.
        refused: messages refused, less those accepted since.
    """

    number: int
    address: str
    cameras: tuple[str, ...] = ()
    sent: int = 0
    seen: int = 0
    refused: int = 0
    _tokens: float = BURST
    _counted_at: float = 0.0

    def may_speak(self, now: float) -> bool:
        """Takes one message off what it may send."""
        self._tokens = min(BURST, self._tokens + RATE * (now - self._counted_at))
        self._counted_at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


@dataclass
class Sessions:
    """All pages.

    Attributes:
        operator: who is told what the driver wants.
        clock: s, steady.
        driver: the page that drives or asked to.
        lost_at: when the driver went without a release; None where it did not.
        refused: messages refused, of all pages.
    """

    operator: Operator
    clock: Callable[[], float]
    driver: Session | None = None
    lost_at: float | None = None
    refused: int = 0
    pages: dict[int, Session] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _spoke_at: float = 0.0
    _claimed_at: float = 0.0

    def join(self, address: str) -> Session:
        """A page opens its connection.

        Raises:
            Refused: there are too many.
        """
        if len(self.pages) >= MAX_SESSIONS:
            raise Refused(f"{MAX_SESSIONS} pages are open, which is the limit: close one of them")
        session = Session(next(self._numbers), address, _counted_at=self.clock())
        self.pages[session.number] = session
        return session

    def leave(self, session: Session) -> None:
        """A page's connection is gone; where it drove, the arm holds for whoever comes back."""
        self.pages.pop(session.number, None)
        if self.driver is session:
            self.driver, self.lost_at = None, self.clock()
            self.operator.rest()

    def cameras(self) -> frozenset[str]:
        """Every camera that any page shows."""
        return frozenset(name for page in self.pages.values() for name in page.cameras)

    def hear(self, session: Session, text: str | bytes) -> str:
        """Does what a page says; returns why not, or nothing where it did."""
        if not session.may_speak(self.clock()):
            return self._refuse(session, f"too many messages: send at most {RATE:.0f} a second")
        try:
            self._obey(session, parse(text))
        except MessageError as error:
            return self._refuse(session, str(error))
        session.refused = max(0, session.refused - 1)
        return ""

    def mux_says(self, mine: bool) -> None:
        """Takes note of whether the mux holds the console's device for the driver.

        Called again and again with the newest word.
        """
        if mine:
            return
        self.lost_at = None
        if self.driver is not None and self.clock() - self._claimed_at > AT_THE_MUX:
            self._nobody()

    def _refuse(self, session: Session, reason: str) -> str:
        session.refused += 1
        self.refused += 1
        return reason

    def _obey(self, session: Session, message: Message) -> None:
        if isinstance(message, View):
            session.cameras = message.cameras
        elif isinstance(message, Seen):
            session.seen = min(max(session.seen, message.frame), session.sent)
        elif isinstance(message, Drive):
            self._drive(session, message)
        elif isinstance(message, ReleaseStop):
            self._only_if_free(session)
            self.operator.release_stop()
        else:
            self._press(session, message)

    def _drive(self, session: Session, wish: Drive) -> None:
        if self.driver is not session:
            self._only_if_free(session)
            raise MessageError("take over first")
        self._spoke_at = self.clock()
        self.operator.drive(wish)

    def _press(self, session: Session, message: Press) -> None:
        if message.event != Event.STOP:
            self._only_if_free(session)
        if message.event == Event.TAKEOVER:
            self._spoke_at = self._claimed_at = self.clock()
            self.driver, self.lost_at = session, None
        elif message.event == Event.RELEASE:
            self._nobody()
        self.operator.press(message.event)

    def _only_if_free(self, session: Session) -> None:
        """Raises MessageError while another page drives."""
        driver = self.driver
        if driver is None or driver is session or self.clock() - self._spoke_at > SILENT:
            return
        raise MessageError(f"page {driver.number} at {driver.address} drives: you are watching")

    def _nobody(self) -> None:
        self.driver, self.lost_at = None, None
        self.operator.rest()
