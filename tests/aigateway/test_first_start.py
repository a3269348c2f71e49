import threading
from pathlib import Path

from aigateway.first_start import prepare
from config.settings import Settings


def test_a_second_set_up_waits_for_the_first(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    in_the_middle, may_go_on = threading.Event(), threading.Event()
    keys: dict[str, str | None] = {}

    def first_says(message: str) -> None:
        if "master key" in message:
            in_the_middle.set()
            may_go_on.wait(30)

    def run(name: str) -> None:
        keys[name] = prepare(settings, first_says if name == "first" else lambda _: None)

    first = threading.Thread(target=run, args=["first"])
    first.start()
    assert in_the_middle.wait(30)
    second = threading.Thread(target=run, args=["second"])
    second.start()
    second.join(0.3)
    assert "second" not in keys
    may_go_on.set()
    first.join(30)
    second.join(30)
    assert keys["first"] is not None
    assert keys["second"] is None
