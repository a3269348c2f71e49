import itertools
import os
import time
from uuid import RFC_4122, UUID

from models.ids import new_id


def test_an_id_is_a_uuid_of_version_7_that_tells_its_time() -> None:
    before = time.time_ns() // 1_000_000
    made = new_id()
    after = time.time_ns() // 1_000_000
    read = UUID(hex=made)
    assert (read.version, read.variant, read.hex) == (7, RFC_4122, made)
    assert before <= int(made[:12], 16) <= after


def test_ids_of_one_process_sort_by_creation_also_within_a_millisecond() -> None:
    made = []
    for _ in range(500):
        made.append(new_id())
        time.sleep(0.000_001)
    assert all(earlier < later for earlier, later in itertools.pairwise(made))
    assert len({one[:12] for one in made}) < len(made)


def test_ids_do_not_repeat() -> None:
    assert len({new_id() for _ in range(20_000)}) == 20_000


def test_a_forked_process_makes_other_ids() -> None:
    new_id()  # some random numbers are at hand
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, new_id().encode())
        os._exit(0)
    made = new_id()
    os.waitpid(child, 0)
    assert os.read(reader, 32).decode()[16:] != made[16:]
    os.close(reader)
    os.close(writer)
