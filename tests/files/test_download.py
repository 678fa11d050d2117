"""Files from the web; what is refused before anything is asked of it."""

import hashlib
import io
import urllib.parse
import urllib.request
import urllib.response
from email.message import Message

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jaxstyle.errors import UserError
from jaxstyle.files.download import downloaded, file_name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://a.org/e5%20base.npz?download=true", "e5 base.npz"),
        ("https://a.org/b/..%2F..%2Fetc%2Fc.npz", "c.npz"),
        ("https://a.org/", ""),
    ],
)
def test_a_file_is_called_as_the_last_part_of_its_url(url, name):
    assert file_name(url) == name


NAMES = st.text(st.sampled_from("aZ0é日😀%+&=;:?#. ~\\\n"), min_size=1)


@pytest.mark.slow
@given(NAMES.filter(lambda name: name != "."))
def test_any_name_survives_a_url(name):
    assert file_name(f"https://a.org/b/{urllib.parse.quote(name, safe='')}?c=d/e#f/g") == name


@given(st.text(st.sampled_from("/\\.%2Ff:?#;@[]ab\0 ")))
def test_no_url_names_a_file_in_another_folder(rest):
    try:
        name = file_name(f"https://a.org/{rest}")
    except ValueError:
        return
    assert "/" not in name


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://a.org/", "give the URL of a file"),
        ("https://a.org/a%00b.npz", "give the URL of a file"),
        ("https://[a.org/b.npz", "is not a URL"),
        (f"https://a.org/{'b' * 300}.npz", "the name of the file is longer than 200 bytes"),
    ],
)
def test_what_names_no_file_is_refused_without_a_request(url, says, tmp_path, monkeypatch):
    monkeypatch.setattr("urllib.request.OpenerDirector.open", None)
    with pytest.raises(UserError, match=says) as caught:
        downloaded(url, "0" * 64, tmp_path / "cache")
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "cache").exists()


def answer_with(monkeypatch, answers):
    """Lets a host answer for each URL: with a URL to redirect to, or with bytes."""
    asked = []

    def respond(handler, request):
        url = request.full_url
        asked.append(url)
        headers, answer = Message(), answers[url]
        if isinstance(answer, str):
            headers["Location"] = answer
        response = urllib.response.addinfourl(
            io.BytesIO(b"" if isinstance(answer, str) else answer),
            headers,
            url,
            302 if isinstance(answer, str) else 200,
        )
        response.msg = "as asked"
        return response

    monkeypatch.setattr(urllib.request.HTTPSHandler, "https_open", respond)
    monkeypatch.setattr(urllib.request.HTTPHandler, "http_open", respond)
    return asked


def test_a_redirect_is_followed_unless_it_leaves_https(tmp_path, monkeypatch):
    answers = {
        "https://a.org/a.npz": "https://b.org/1",
        "https://b.org/1": b"weights",
        "https://a.org/b.npz": "https://b.org/2",
        "https://b.org/2": "http://b.org/3",
        "http://b.org/3": b"weights",
        "http://a.org/c.npz": "https://b.org/1",
    }
    asked = answer_with(monkeypatch, answers)
    digest = hashlib.sha256(b"weights").hexdigest()
    for url in ("https://a.org/a.npz", "http://a.org/c.npz", "http://b.org/3"):
        assert downloaded(url, digest, tmp_path).read_bytes() == b"weights"
    asked.clear()
    refused = r"cannot download https://a.org/b.npz \(it redirects to http://b.org/3, which is not"
    with pytest.raises(UserError, match=refused) as caught:
        downloaded("https://a.org/b.npz", digest, tmp_path)
    assert "\n" not in str(caught.value)
    assert asked == ["https://a.org/b.npz", "https://b.org/2"]


def test_a_file_that_is_too_large_is_not_read_to_its_end(tmp_path, monkeypatch):
    answer_with(monkeypatch, {"https://a.org/a.npz": bytes(4_000_000)})
    monkeypatch.setattr("jaxstyle.files.download._MOST_BYTES", 1_500_000)
    with pytest.raises(UserError, match=r"\(it is larger than 0.0015 GB\); download it elsewhere"):
        downloaded("https://a.org/a.npz", "0" * 64, tmp_path)
    assert list(tmp_path.iterdir()) == []
