"""snkvctl: commands, arguments, outputs and exit codes are those of SNKV's tool, as its page has them."""

import io
import json
import os
import subprocess
import sys
import time

import pytest

import snkv
from snkv import KVStore, snkvctl


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "x.db")


@pytest.fixture
def run(path, capsys, monkeypatch):
    """run(argument...): (exit code, output, messages) of the tool on the store."""

    def call(*arguments, stdin="", db=path):
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        try:
            code = snkvctl.main(["--db", db, *map(str, arguments)])
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return code, out, err

    return call


@pytest.fixture
def ok(run):
    """The output of a command that must succeed without a word of complaint."""

    def call(*arguments, **more):
        code, out, err = run(*arguments, **more)
        assert (code, err) == (0, ""), (arguments, err)
        return out

    return call


@pytest.fixture
def record(ok):
    """The JSON of it."""

    def call(*arguments, **more):
        return json.loads(ok("--format", "json", *arguments, **more))

    return call


def test_put_get_del_exists(run, ok, record):
    assert ok("put", "hello", "world") == ""
    assert ok("get", "hello") == "world\n"
    assert ok("exists", "hello") == "found\n"
    assert record("put", "k", "v") == {"key": "k"}
    assert record("put", "k", "v", "--ttl", "30") == {"key": "k", "ttl": 30.0}
    assert record("get", "hello") == {"value": "world"}
    assert json.loads(ok("get", "hello", "--format", "json")) == {"value": "world"}
    assert record("exists", "hello") == {"exists": True, "key": "hello"}
    assert record("del", "k") == {"deleted": True, "key": "k"}
    assert ok("del", "hello") == ""
    assert run("get", "hello") == (2, "", "not found: hello\n")
    assert run("del", "hello") == (2, "", "not found: hello\n")
    assert run("exists", "hello") == (2, "not found\n", "")
    assert run("--format", "json", "exists", "hello")[:2] == (
        2, '{"exists": false, "key": "hello"}\n')
    assert run("--cf", "none", "get", "k")[0] == 2


def test_bytes_that_are_no_text(ok, record, path):
    with KVStore(path) as db:
        db[b"\x00\xff"] = b"\xfe"
        db["text"] = "\u00e9"
    assert ok("scan") == "<hex:00FF>\n<hex:FE>\ntext\n\u00e9\n"
    assert record("get", "text") == {"value": "\u00e9"}


def filled(ok):
    ok("txn", stdin="".join(f"put {key} {value}\n" for key, value in (
        ("a", 1), ("m", 2), ("user:alice", 30), ("user:bob", 25), ("user:carol", 40), ("z", 3))))


def test_list_and_scan(run, ok):
    filled(ok)
    assert ok("list").split() == ["a", "m", "user:alice", "user:bob", "user:carol", "z"]
    assert ok("list", "--reverse").split()[:2] == ["z", "user:carol"]
    assert ok("list", "--limit", 2).split() == ["a", "m"]
    assert ok("list", "--prefix", "user:", "--format", "json").splitlines()[0] == '{"key": "user:alice"}'
    assert ok("scan", "--prefix", "user:", "--reverse", "--limit", 1) == "user:carol\n40\n"
    assert ok("scan", "--seek", "m", "--limit", 2).split() == ["m", "2", "user:alice", "30"]
    assert ok("list", "--seek", "user:b").split() == ["user:bob", "user:carol", "z"]
    assert ok("list", "--prefix", "user:", "--seek", "user:b").split() == ["user:bob", "user:carol"]
    assert ok("list", "--seek", "user:carol", "--reverse").split()[0] == "user:carol"
    assert ok("scan", "--seek", "zzz") == ""
    assert json.loads(ok("scan", "--seek", "user:b", "--limit", 1, "--format", "json")) == {
        "key": "user:bob", "value": "25"}
    for command in ("list", "scan"):
        assert run(command, "--limit", -1) == (
            1, "", "error: --limit must be >= 0 (0 means no limit)\n")


def test_count_clear_and_prefixes(ok, record):
    filled(ok)
    assert ok("count") == "6\n"
    assert ok("count", "--prefix", "user:") == "3\n"
    assert record("count", "--prefix", "none") == {"count": 0}
    assert ok("del", "--prefix", "user:") == "3 key(s) deleted\n"
    assert record("del", "--prefix", "user:") == {"deleted": 0, "prefix": "user:"}
    assert ok("clear") == "cleared\n"
    assert record("clear") == {"status": "ok"}
    assert ok("count") == "0\n"


def test_set_if_absent(run, ok, record):
    assert ok("set-if-absent", "k", "1") == "inserted\n"
    assert ok("set-if-absent", "k", "2", "--ttl", 60) == "already exists (not modified)\n"
    assert record("set-if-absent", "k", "2") == {"inserted": False, "key": "k"}
    assert ok("get", "k") == "1\n"
    assert ok("ttl", "k") == "no ttl\n"
    assert record("set-if-absent", "t", "2", "--ttl", "60") == {"inserted": True, "key": "t"}
    for ttl in ("0", "-1", "nan"):
        for command in ("put", "set-if-absent"):
            assert run(command, "k", "v", "--ttl", ttl) == (
                1, "", "error: --ttl must be a positive number of seconds\n")


def test_ttl_and_purge(run, ok, record):
    ok("put", "long", "v", "--ttl", "60")
    out = ok("ttl", "long")
    assert out.endswith("s remaining\n") and 55 < float(out.split("s")[0]) <= 60
    told = record("ttl", "long")
    assert told["key"] == "long" and 55 < told["ttl"] <= 60
    assert told["status"] == f"{told['ttl']:.3f}s remaining"
    ok("put", "short", "v", "--ttl", "0.001")
    time.sleep(0.01)
    assert ok("ttl", "short") == "expired\n"
    assert record("ttl", "short") == {"key": "short", "ttl": 0.0, "status": "expired"}
    assert run("get", "short")[0] == 2
    assert ok("purge") == "1 expired key(s) purged\n"
    assert record("purge") == {"purged": 0}
    assert run("ttl", "short") == (2, "", "not found: short\n")


def test_families(run, ok, record):
    assert ok("cf", "list") == "(no user column families)\n"
    assert ok("cf", "create", "users") == "created: users\n"
    assert record("cf", "create", "more") == {"created": "more"}
    assert ok("cf", "list") == "more\nusers\n"
    assert record("cf", "list") == {"column_families": ["more", "users"]}
    ok("--cf", "users", "put", "alice", "30", "--ttl", "60")
    assert ok("--cf", "users", "get", "alice") == "30\n"
    assert ok("--cf", "users", "ttl", "alice").endswith("remaining\n")
    assert ok("count") == "0\n"
    assert ok("--cf", "users", "txn", stdin="put x 1\n") == "1 op(s) committed\n"
    assert ok("txn", "--cf", "more", stdin="put y 1\n") == "1 op(s) committed\n"
    assert ok("--cf", "users", "list").split() == ["alice", "x"]
    assert ok("--cf", "more", "list").split() == ["y"]
    assert ok("cf", "drop", "users") == "dropped: users\n"
    assert record("cf", "drop", "more") == {"dropped": "more"}
    for verb in ("create", "drop"):
        assert run("cf", verb) == (1, "", f"error: cf {verb} requires NAME\n")
    assert run("cf", "drop", "users")[0] == 2
    assert run("--cf", "users", "txn", stdin="put x 1\n")[0] == 1


def test_batches(run, ok, record):
    text = "# a comment\n\nput counter 1\nput text a b  c\ndel none\nrm none\nDELETE none\n"
    assert ok("txn", stdin=text) == "5 op(s) committed\n"
    assert ok("get", "text") == "a b  c\n"
    assert record("txn", stdin="del counter\n") == {"committed": 1}
    assert ok("txn", stdin="") == "nothing to do (empty input)\n"
    assert record("txn", stdin="# no more\n") == {"committed": 0, "ops": 0}
    assert ok("txn", "--dry-run", stdin="put x 1\ndel y\n") == "dry-run: 2 op(s) validated, rolled back\n"
    assert record("txn", "--dry-run", stdin="put x 1\n") == {
        "committed": 0, "dry_run": True, "ops": 1}
    assert run("get", "x")[0] == 2
    for text, message in (
        ("put a 1\nbad x\n", "line 2: unknown op 'bad' (expected 'put KEY VALUE' or 'del KEY')"),
        ("put a 1\nput b\n", "line 2: 'put' requires KEY and VALUE"),
        ("put a 1\nrm\n", "line 2: 'rm' requires KEY"),
    ):
        assert run("txn", stdin=text) == (1, "", f"error: {message}\n")
        assert run("get", "a")[0] == 2


def test_maintenance(run, ok, record, path):
    filled(ok)
    stats = record("stats")
    assert list(stats) == ["puts", "gets", "deletes", "iterations", "errors", "bytes_read",
                           "bytes_written", "wal_commits", "checkpoints", "ttl_expired",
                           "ttl_purged", "db_pages"]
    assert ok("stats", "--reset").splitlines()[-1] == f"{'db_pages':<15} {stats['db_pages']}"
    for mode in ("passive", "full", "restart", "truncate"):
        assert ok("checkpoint", "--mode", mode).startswith(f"mode={mode}  nlog=")
    assert sorted(record("checkpoint")) == ["mode", "nckpt", "nlog"]
    assert ok("vacuum") == "vacuum complete (pages=0)\n"
    assert record("vacuum", "--pages", 5) == {"status": "ok", "pages": 5}
    assert ok("check") == "integrity check passed\n"
    assert record("check") == {"status": "ok"}
    assert ok("sync") == "sync complete\n"
    assert record("sync") == {"status": "ok"}
    ok("cf", "create", "users")
    assert record("info") == {
        "path": path, "encrypted": "no", "cf_count": 1, "cfs": "users",
        "db_pages": record("info")["db_pages"], "size_bytes": os.path.getsize(path)}
    assert ok("info").splitlines()[1] == f"{'encrypted':<12} no"


def test_a_damaged_store(run, ok, path):
    with KVStore(path) as db:
        db.put_many({f"{i:05}": "v" * 200 for i in range(500)})
    with open(path, "r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 200)
    code, out, err = run("check")
    assert code == 1 and out == "" and err.startswith("CORRUPT: ")
    code, out, _ = run("check", "--format", "json")
    assert code == 1 and json.loads(out)["status"] == "corrupt"


def test_encryption(run, ok, record):
    ok("put", "k", "v")
    ok("put", "t", "v", "--ttl", "60")
    assert run("--password", "pw", "get", "k") == (
        1, "", "error: wrong password or store is not encrypted\n")
    assert run("decrypt") == (1, "", "error: --password is required for decrypt\n")
    assert run("--password", "pw", "decrypt") == (1, "", "error: store is not encrypted\n")
    assert run("--password", "pw", "rekey", "--new-password", "x")[0] == 1
    assert ok("encrypt", "--new-password", "pw") == "encrypted successfully\n"
    assert run("encrypt", "--new-password", "new") == (
        1, "", "error: store is already encrypted; use 'rekey' to change the password\n")
    assert ok("--password", "pw", "get", "k") == "v\n"
    assert ok("--password", "pw", "ttl", "t").endswith("remaining\n")
    assert ok("--password", "pw", "info").splitlines()[1].split() == ["encrypted", "yes"]
    assert run("get", "k") == (1, "", "error: store is encrypted: --password is required\n")
    for command in (["get", "k"], ["decrypt"], ["rekey", "--new-password", "new"]):
        assert run("--password", "wrong", *command) == (
            1, "", "error: wrong password or store is not encrypted\n")
    assert ok("--password", "pw", "rekey", "--new-password", "new") == "rekeyed successfully\n"
    assert record("--password", "new", "rekey", "--new-password", "pw") == {"status": "ok"}
    assert ok("--password", "pw", "decrypt") == "decrypted successfully\n"
    assert ok("get", "k") == "v\n"
    assert record("encrypt", "--new-password", "pw") == {
        "status": "ok", "encrypted": True, "ttl_preserved": False}
    assert record("--password", "pw", "decrypt") == {"status": "ok", "encrypted": False}


def test_a_new_store_with_a_password_is_encrypted(run, ok):
    ok("--password", "pw", "put", "k", "v")
    assert ok("--password", "pw", "get", "k") == "v\n"
    assert run("get", "k")[0] == 1


def test_options(run, ok, path):
    ok("--journal", "delete", "--sync", "off", "--cache-size", 500, "--page-size", 8192, "--full-mutex",
       "--timeout", 0, "put", "k", "v")
    with open(path, "rb") as file:
        header = file.read(20)
    assert header[16:19] == b"\x20\x00\x01"  # pages of 8192 bytes, and no log
    ok("--journal", "wal", "--sync", "full", "--wal-limit", 10, "put", "k", "v")
    assert ok("--read-only", "get", "k") == "v\n"
    assert run("--read-only", "put", "k", "2") == (1, "", "error: store is read-only\n")
    with KVStore(path) as db, db.transaction():
        assert run("--timeout", 1, "put", "k", "2") == (
            1, "", "error: database is busy; increase --timeout and retry\n")
    assert run("--read-only", "get", "k", db=path + "-none")[0] == 1
    assert run("get", "k", db=os.path.dirname(path))[0] == 1


@pytest.mark.parametrize("arguments", [
    ["put"], ["put", "k"], ["no-such-command"], [], ["del"], ["del", "k", "--prefix", "p"],
    ["--format", "xml", "list"], ["--journal", "none", "list"], ["checkpoint", "--mode", "none"],
    ["encrypt"], ["cf"], ["cf", "rename"], ["list", "--limit", "many"],
])
def test_bad_arguments(run, arguments, path):
    code, out, err = run(*arguments)
    assert code == 1 and out == "" and "error:" in err
    assert not os.path.exists(path)


def test_as_a_program(path):
    """Its own process, as a user starts it."""
    package = os.path.dirname(os.path.dirname(snkv.__file__))
    environment = {**os.environ, "PYTHONPATH": package}

    def program(*arguments, **more):
        return subprocess.run([sys.executable, "-m", "snkv.snkvctl", "--db", path, *arguments],
                              capture_output=True, text=True, env=environment, check=False, **more)

    done = program("txn", input="put a 1\n" * 3)
    assert (done.returncode, done.stdout, done.stderr) == (0, "3 op(s) committed\n", "")
    assert program("get", "none").returncode == 2
    assert program("put").returncode == 1
    with KVStore(path) as db:
        db.put_many({f"key {i}": "x" * 100 for i in range(20000)})
    with subprocess.Popen([sys.executable, "-m", "snkv.snkvctl", "--db", path, "list"],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1
