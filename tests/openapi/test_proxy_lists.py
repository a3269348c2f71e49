"""Lists of proxies are read as they are found (pain 39: hundreds were entered by hand)."""

from urllib.parse import unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openapi.proxy_lists import read_list

SECRET = "s3cr3t-Canary"


def url_of(line: str, scheme: str = "http") -> str | None:
    (read,) = read_list(line, scheme)
    assert (read.url is None) is (read.reason is not None)
    return read.url


@pytest.mark.parametrize(
    ("line", "url"),
    [
        pytest.param("http://u:p@192.0.2.1:80", "http://u:p@192.0.2.1:80", id="url"),
        pytest.param("socks5h://h.example:1080", "socks5h://h.example:1080", id="own scheme"),
        pytest.param("HTTPS://H.Example:443/", "https://h.example:443", id="one spelling"),
        pytest.param("http://u:p#q@h.example:1", "http://u:p%23q@h.example:1", id="url, raw #"),
        pytest.param("http://u:p@q@h.example:1", "http://u:p%40q@h.example:1", id="url, raw @"),
        pytest.param("http://u:p%40q@h.example:1", "http://u:p%40q@h.example:1", id="url, escaped"),
        pytest.param("http://u@h.example:1", "http://u@h.example:1", id="url, only a name"),
        pytest.param("192.0.2.1:3128", "http://192.0.2.1:3128", id="host and port"),
        pytest.param("proxy:3128", "http://proxy:3128", id="a bare name"),
        pytest.param("192.0.2.1:80:u:p", "http://u:p@192.0.2.1:80", id="host first"),
        pytest.param("h.example:80:u:p:q", "http://u:p%3Aq@h.example:80", id="colon in password"),
        pytest.param("u:p:192.0.2.1:80", "http://u:p@192.0.2.1:80", id="user first"),
        pytest.param("u:p:q:h.example:80", "http://u:p%3Aq@h.example:80", id="user first, colon"),
        pytest.param("u:8080:h.example:80", "http://u:8080@h.example:80", id="password of digits"),
        pytest.param("h.example:80:u.v:8080", "http://u.v:8080@h.example:80", id="both ends fit"),
        pytest.param("box:80:u:8080", "http://u:8080@box:80", id="both fit, neither surely"),
        pytest.param("u:p@192.0.2.1:80", "http://u:p@192.0.2.1:80", id="at"),
        pytest.param("u:p@q@h.example:80", "http://u:p%40q@h.example:80", id="at in password"),
        pytest.param("u:p:q/r@h.example:80", "http://u:p%3Aq%2Fr@h.example:80", id="at, odd chars"),
        pytest.param("h.example:80:u:p@q", "http://u:p%40q@h.example:80", id="host first, at"),
        pytest.param("h.example:80:u:p%41", "http://u:p%2541@h.example:80", id="percent is itself"),
        pytest.param("[2001:db8::1]:80", "http://[2001:db8::1]:80", id="ipv6"),
        pytest.param("[2001:db8::1]:80:u:p", "http://u:p@[2001:db8::1]:80", id="ipv6, host first"),
        pytest.param("u:p:[2001:DB8::1]:80", "http://u:p@[2001:db8::1]:80", id="ipv6, user first"),
        pytest.param("u:p@[2001:db8::1]:80", "http://u:p@[2001:db8::1]:80", id="ipv6, at"),
        pytest.param("h.example\t80\tu\tp", "http://u:p@h.example:80", id="tabs"),
        pytest.param("h.example 80 u p", "http://u:p@h.example:80", id="blanks"),
        pytest.param("h.example:80 u:p", "http://u:p@h.example:80", id="blank between pairs"),
        pytest.param("h.example;80;u;p", "http://u:p@h.example:80", id="semicolons"),
        pytest.param("h.example:80;u;p", "http://u:p@h.example:80", id="mixed"),
        pytest.param("h.example;80;", "http://h.example:80", id="empty columns at the end"),
        pytest.param("h.example:80:u:p;q", "http://u:p%3Bq@h.example:80", id="semicolon inside"),
        pytest.param("  h.example:80  # paris", "http://h.example:80", id="comment at the end"),
        pytest.param("h.example:80:u:p#q", "http://u:p%23q@h.example:80", id="hash inside"),
    ],
)
def test_a_line_in_any_usual_form_is_an_address(line: str, url: str) -> None:
    assert url_of(line) == url


@pytest.mark.parametrize(
    "line",
    [
        "justaword",
        "192.0.2.1",
        "192.0.2.1:",
        "192.0.2.1:0",
        "192.0.2.1:65536",
        "192.0.2.1:99999999999999999999",
        "192.0.2.1:80:user",
        "2001:db8::1:80",
        "a:b:c:d",
        "h.example:80/path",
        "http://h.example",
        "http://h.example:80/path",
        "ftp://h.example:21",
        "socks4://h.example:1080",
        "http://h.example:80:u:p",
        "//h.example:80",
        "@h.example",
        "h ex:80",
        "pröxy.example:80",
        "h.example:80:u:\x00p",
        "h.example:80:u:" + "p" * 300,
        "h" * 3000,
        "::::",
        ";;;;",
        "h.example:８０",
    ],
)
def test_what_cannot_be_read_says_why(line: str) -> None:
    (read,) = read_list(line, "http")
    assert read.url is None
    assert read.reason


def test_blank_lines_and_comments_are_nothing_and_lines_are_counted_as_editors_do() -> None:
    text = "# mine\r\n\r\n  \nh.example:1\r\n   # off: h.example:2\nh.example:3\n"
    assert [(line.number, line.url) for line in read_list(text, "socks5")] == [
        (4, "socks5://h.example:1"),
        (6, "socks5://h.example:3"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        f"http://user:{SECRET}@h.example",
        f"ftp://user:{SECRET}@h.example:21",
        f"user:{SECRET}@h.example:x",
        f"h.example:80:{SECRET}",
        f"{SECRET}",
        f"h.example:99999:user:{SECRET}",
        f"http://{SECRET}:80/x",
        f"h.example:80:user:{SECRET}\x01",
    ],
)
def test_no_reason_repeats_what_the_line_holds(line: str) -> None:
    (read,) = read_list(line, "http")
    assert read.reason is not None
    assert SECRET.lower() not in read.reason.lower()


@given(
    user=st.text(
        st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=":#"),
        min_size=1,
        max_size=20,
    ),
    password=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20),
)
def test_a_password_comes_through_whole_whatever_is_in_it(user: str, password: str) -> None:
    url = url_of(f"192.0.2.1:3128:{user}:{password}")
    assert url is not None
    parts = urlsplit(url)
    assert (parts.hostname, parts.port) == ("192.0.2.1", 3128)
    assert (unquote(parts.username or ""), unquote(parts.password or "")) == (user, password)


@given(st.text(max_size=200))
def test_nothing_makes_the_reader_fall(text: str) -> None:
    for line in read_list(text, "http"):
        assert line.url is not None or line.reason
