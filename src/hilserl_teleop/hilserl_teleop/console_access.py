"""Who may open the console: on this machine everybody, from elsewhere whoever has the token.

A web page of somebody else, open in the same browser, is not let in either: a request names
the host that it is for and the page that it is from, and both have to be the console's.
"""

from __future__ import annotations

import hmac
import ipaddress
import secrets
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from hilserl_core.errors import UserError

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """Whether only this machine can connect to a server bound to ``host``."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _split(text: str) -> SplitResult:
    try:
        return urlsplit(text)
    except ValueError:  # such as of a bracket that is not closed
        return urlsplit("")


def check_host(host: str) -> str:
    """The address to bind to.

    Raises:
        UserError: it is neither an address nor localhost.
    """
    if host != "localhost":
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise UserError(
                f"parameter 'host': '{host}' is no address: give one of this machine's, 0.0.0.0 "
                "for all of them, or 127.0.0.1 for this machine alone"
            ) from None
    return host


@dataclass(frozen=True)
class Access:
    """The rule.

    Attributes:
        token: what a request has to bring; empty where the server is bound to loopback.
    """

    token: str = ""

    @classmethod
    def to(cls, host: str) -> Access:
        """The rule of a server bound to ``host``, with a new token where it needs one."""
        return cls("" if is_loopback(host) else secrets.token_urlsafe(24))

    def fits(self, token: str) -> bool:
        """Whether a token is the right one, in the same time whatever it is."""
        return hmac.compare_digest(token.encode(errors="replace"), self.token.encode())

    def why_not(self, host: str, token: str) -> str:
        """Why a request is refused; empty where it is not.

        Args:
            host: its Host header, which a browser sets to what the address line names.
            token: its cookie.
        """
        # Where the server is for this machine alone, a name that somebody else has pointed
        # here would make their page one of the console's own.
        if not self.token and _split(f"//{host}").hostname not in LOOPBACK_NAMES:
            return f"this console is for this machine alone, not for '{host[:80]}'"
        if self.token and not self.fits(token):
            return "the token is missing or wrong: open the address that the console printed"
        return ""

    @staticmethod
    def from_own_page(host: str, origin: str) -> bool:
        """Whether a request comes from a page that this server sent."""
        parts = _split(origin)
        return bool(host) and parts.netloc == host and parts.scheme in ("http", "https")
