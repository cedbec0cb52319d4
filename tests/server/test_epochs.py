"""`python -m server epochs`: shows the epoch, renews it, and says in a sentence when there is no database."""

import pytest

from server.__main__ import main


def test_epochs_are_shown_and_renewed_or_it_says_why_not(
    database_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    said = []
    for arguments in (["epochs"], ["epochs", "--renew"], ["epochs"]):
        assert main(arguments) == 0
        said.append(capsys.readouterr().out.splitlines()[-1])

    before, renewed, after = (line.split()[-1] for line in said)
    assert before != renewed == after
    assert said[1].startswith("0 streams, and those to come,")
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert main(["epochs"]) == 2
    assert capsys.readouterr().err.startswith("DATABASE_URL: ")
