"""The coverage page says what the signatures say."""

from tools import coverage


def test_the_page_is_what_the_signatures_say() -> None:
    page = coverage.PAGE.read_text(encoding="utf-8")
    assert page == coverage.page(), "run `make coverage`"
    assert "## sqs: " in page
    assert "| SendMessage | – |" in page
