import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilserl_core.errors import UserError
from hilserl_teleop.console_access import Access, check_host, is_loopback


def test_this_machine_alone_needs_no_token_and_others_do():
    assert Access.to("127.0.0.1").token == ""
    assert Access.to("localhost").token == ""
    one, two = Access.to("0.0.0.0").token, Access.to("192.168.1.5").token
    assert len(one) >= 32
    assert one != two


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "localhost"])
def test_the_names_of_this_machine_are_let_in(host):
    assert Access().why_not(host, "") == ""


@pytest.mark.parametrize("host", ["evil.example:8080", "", "localhost.evil.example", "[::1", "@"])
def test_another_name_that_points_here_is_not(host):
    assert "this machine alone" in Access().why_not(host, "")


def test_only_the_right_token_opens():
    access = Access.to("0.0.0.0")
    assert access.why_not("arm.local:8080", access.token) == ""
    for token in ("", "x", access.token[:-1], access.token + "x", "\udcff"):
        assert "token" in access.why_not("arm.local:8080", token)


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        ("http://localhost:8080", True),
        ("http://localhost:9090", False),
        ("http://evil.example", False),
        ("http://localhost:8080.evil.example", False),
        ("null", False),
        ("", False),
        ("file://localhost:8080", False),
        ("http://[::1", False),
    ],
)
def test_a_request_has_to_come_from_the_consoles_own_page(origin, own):
    assert Access.from_own_page("localhost:8080", origin) is own


@given(st.text(), st.text(), st.text())
def test_no_header_is_too_strange(host, origin, token):
    assert isinstance(Access.to("0.0.0.0").why_not(host, token), str)
    Access().why_not(host, token)
    Access.from_own_page(host, origin)


def test_where_to_listen_is_an_address():
    assert check_host("0.0.0.0") == "0.0.0.0"
    assert not is_loopback("0.0.0.0")
    with pytest.raises(UserError, match=r"'arm\.local' is no address"):
        check_host("arm.local")
