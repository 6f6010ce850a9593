"""A forked child has the values, and waits for nobody who is not there."""

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

START = """
import os, threading, time
from domain.errors import CacheError
from infrastructure.cache import TTLCache

cache = TTLCache(100, 600, patience=20)
cache["kept"] = [1]
loading, go = threading.Event(), threading.Event()

def hang():
    loading.set()
    go.wait(20)
    return "of the parent"

def in_child(work):
    child = os.fork()
    if child == 0:
        try:
            work()
        except BaseException as error:
            print(type(error), error, flush=True)
            os._exit(1)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""

FLIGHT = """
thread = threading.Thread(target=lambda: cache.get_or_load("key", hang))
thread.start()
loading.wait(10)

def work():
    began = time.monotonic()
    assert cache["kept"] == [1]
    assert cache.get_or_load("key", lambda: "of the child") == "of the child"
    cache["new"] = 1
    assert time.monotonic() - began < 5

in_child(work)
go.set()
thread.join()
assert cache["key"] == "of the parent"
assert "new" not in cache
"""

LOCK = """
def hold():
    with cache._lock:
        loading.set()
        go.wait(20)

thread = threading.Thread(target=hold)
thread.start()
loading.wait(10)

def work():
    assert "kept" not in cache, "what another thread was changing is forgotten"
    assert cache.get_or_load("key", lambda: 1) == cache["key"] == 1

in_child(work)
go.set()
thread.join()
assert cache["kept"] == [1]
"""

OWN = """
def load():
    def work():
        try:
            cache.get_or_load("key", lambda: 1)
        except CacheError:
            return
        raise AssertionError("this thread is still loading it")
    in_child(work)
    return "value"

assert cache.get_or_load("key", load) == cache["key"] == "value"
"""

GONE = """
import gc, weakref
from infrastructure.cache import forks
count = len(forks._living)
cache.get_or_load("key", lambda: 1)
ref = weakref.ref(cache)
del cache
assert ref() is None, "nothing keeps a cache"
assert len(forks._living) == count - 1
"""


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "program", [FLIGHT, LOCK, OWN, GONE], ids=["flight", "lock", "own", "gone"]
)
def test_a_child(program: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", START + program],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
