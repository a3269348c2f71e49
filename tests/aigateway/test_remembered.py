from pathlib import Path

import pytest

from aigateway.remembered import with_remembered

FILE = "AIGATEWAY_REDIS__URL=redis://:p=w@h/1\nAIGATEWAY_DATABASE__URL=mysql+pymysql://u@h/d\n"


def _environ(folder: Path, **more: str) -> dict[str, str]:
    return {"AIGATEWAY_DATA_DIR": str(folder), "HOME": "/home/u", **more}


def test_without_a_file_the_environment_is_all_there_is(tmp_path: Path) -> None:
    assert with_remembered(_environ(tmp_path)) == _environ(tmp_path)


def test_remembered_addresses_count_where_the_environment_says_nothing(tmp_path: Path) -> None:
    (tmp_path / "settings.env").write_text(FILE)
    found = with_remembered(_environ(tmp_path, AIGATEWAY_DATABASE__URL="sqlite:///mine.db"))
    assert found == _environ(
        tmp_path,
        AIGATEWAY_DATABASE__URL="sqlite:///mine.db",
        AIGATEWAY_REDIS__URL="redis://:p=w@h/1",
    )


def test_an_empty_variable_takes_back_what_is_remembered(tmp_path: Path) -> None:
    (tmp_path / "settings.env").write_text(FILE)
    assert (
        with_remembered(_environ(tmp_path, AIGATEWAY_REDIS__URL=""))["AIGATEWAY_REDIS__URL"] == ""
    )


@pytest.mark.parametrize("text", ["", "\n\n", "junk", "AIGATEWAY_SERVER__PORT=1\nPATH=/evil\n"])
def test_nothing_else_in_the_file_counts(tmp_path: Path, text: str) -> None:
    (tmp_path / "settings.env").write_text(text)
    assert with_remembered(_environ(tmp_path)) == _environ(tmp_path)
