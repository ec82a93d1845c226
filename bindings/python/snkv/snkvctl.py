"""snkvctl, a command-line tool for stores, with the commands of SNKV's tool of that name.

    snkvctl --db PATH [options] COMMAND ...        also: python -m snkv.snkvctl

Exit codes: 0, 1 for an error (also in the arguments), 2 if a key or a family is not there.

Keys and values are text, as UTF-8; bytes that are none are shown as <hex:0AFF>. With --format json each line
of the output is a JSON object.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple, Union
from typing import Iterator as IteratorOf

from . import (
    AuthError,
    BusyError,
    ColumnFamily,
    CorruptError,
    Error,
    KVStore,
    LockedError,
    NotFoundError,
    ReadOnlyError,
)
from ._snkvctl_arguments import CHECKPOINTS, FAILED, JOURNALS, SYNCS, build_parser

DONE = 0
NOT_FOUND = 2

WRONG_PASSWORD = "wrong password or store is not encrypted"

#: What the commands on entries work on.
Entries = Union[KVStore, ColumnFamily]


class Failure(Exception):
    """Ends the command with a message and an exit code."""

    def __init__(self, message: str, code: int = FAILED) -> None:
        super().__init__(message)
        self.code = code


def shown(data: bytes) -> str:
    """Bytes as a user sees them."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return f"<hex:{data.hex().upper()}>"


class Output:
    """What a command has to say, as text or as JSON."""

    def __init__(self, format: str) -> None:
        self._as_json = format == "json"

    def say(self, text: Optional[str], record: Dict[str, Any]) -> None:
        """`text`, of which there may be none, or `record`."""
        if self._as_json:
            print(json.dumps(record))
        elif text is not None:
            print(text)

    def table(self, record: Dict[str, Any]) -> None:
        """Names and values, one a line."""
        width = max(map(len, record)) + 2
        self.say("\n".join(f"{name:<{width}} {value}" for name, value in record.items()), record)


# ---- Opening ----


def options_of(args: argparse.Namespace) -> Dict[str, Any]:
    """How the store is to be opened."""
    options: Dict[str, Any] = {
        "busy_timeout": args.timeout,
        "journal_mode": JOURNALS[args.journal],
        "sync_level": SYNCS[args.sync],
        "read_only": args.read_only,
        "full_mutex": args.full_mutex,
    }
    for name in ("cache_size", "page_size", "wal_limit"):
        value = getattr(args, name)
        if value is not None:
            options["wal_size_limit" if name == "wal_limit" else name] = value
    return options


def is_plain(args: argparse.Namespace) -> bool:
    """Whether there is a store that is not encrypted."""
    if not os.path.exists(args.db):
        return False
    try:
        KVStore(args.db, **{**options_of(args), "read_only": True}).close()
    except AuthError:
        return False
    return True


def open_store(args: argparse.Namespace) -> KVStore:
    """The store, which is made if it is not there. A password opens, and does not encrypt what is there,
    as `KVStore.open_encrypted` would."""
    if not args.password:
        try:
            return KVStore(args.db, **options_of(args))
        except AuthError:
            raise Failure("store is encrypted: --password is required") from None
    if is_plain(args):
        raise Failure(WRONG_PASSWORD)
    return KVStore.open_encrypted(args.db, args.password, **options_of(args))


@contextmanager
def entries_of(db: KVStore, args: argparse.Namespace) -> IteratorOf[Entries]:
    """The family that --cf names, or the default one."""
    if not args.cf:
        yield db
        return
    with db.open_column_family(args.cf) as family:
        yield family


# ---- Entries ----


def positive_ttl(args: argparse.Namespace) -> Optional[float]:
    if args.ttl is not None and not args.ttl > 0:
        raise Failure("--ttl must be a positive number of seconds")
    ttl: Optional[float] = args.ttl
    return ttl


def put(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    ttl = positive_ttl(args)
    with entries_of(db, args) as entries:
        entries.put(args.key, args.value, ttl=ttl)
    record = {"key": args.key}
    out.say(None, record if ttl is None else {**record, "ttl": ttl})
    return DONE


def get(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    with entries_of(db, args) as entries:
        value = entries.get(args.key)
    if value is None:
        raise Failure(args.key, NOT_FOUND)
    out.say(shown(value), {"value": shown(value)})
    return DONE


def delete(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    with entries_of(db, args) as entries:
        if args.prefix:
            count = entries.delete_prefix(args.prefix)
            out.say(f"{count} key(s) deleted", {"deleted": count, "prefix": args.prefix})
            return DONE
        try:
            entries.delete(args.key)
        except NotFoundError:
            raise Failure(args.key, NOT_FOUND) from None
    out.say(None, {"deleted": True, "key": args.key})
    return DONE


def exists(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    with entries_of(db, args) as entries:
        there = entries.exists(args.key)
    out.say("found" if there else "not found", {"exists": there, "key": args.key})
    return DONE if there else NOT_FOUND


def walk(entries: Entries, args: argparse.Namespace) -> IteratorOf[Tuple[bytes, bytes]]:
    """The entries that list and scan are about."""
    if args.limit < 0:
        raise Failure("--limit must be >= 0 (0 means no limit)")
    with entries.iterator(reverse=args.reverse, prefix=args.prefix or None) as it:
        if args.seek:
            it.seek(args.seek)
        for number, entry in enumerate(it, 1):
            yield entry
            if number == args.limit:
                return


def list_keys(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    with entries_of(db, args) as entries:
        for key, _ in walk(entries, args):
            out.say(shown(key), {"key": shown(key)})
    return DONE


def scan(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    with entries_of(db, args) as entries:
        for key, value in walk(entries, args):
            out.say(f"{shown(key)}\n{shown(value)}", {"key": shown(key), "value": shown(value)})
    return DONE


def count(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    with entries_of(db, args) as entries:
        # What has expired has no part in a prefix, as in SNKV's tool.
        number = sum(1 for _ in entries.keys(prefix=args.prefix)) if args.prefix else entries.count()
    out.say(str(number), {"count": number})
    return DONE


def clear(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    with entries_of(db, args) as entries:
        entries.clear()
    out.say("cleared", {"status": "ok"})
    return DONE


def set_if_absent(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    ttl = positive_ttl(args)
    with entries_of(db, args) as entries:
        inserted = entries.put_if_absent(args.key, args.value, ttl=ttl)
    text = "inserted" if inserted else "already exists (not modified)"
    out.say(text, {"inserted": inserted, "key": args.key})
    return DONE


def ttl_of(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    with entries_of(db, args) as entries:
        try:
            left = entries.ttl(args.key)
        except NotFoundError:
            raise Failure(args.key, NOT_FOUND) from None
    if left is None:
        text = "no ttl"
    elif left <= 0:
        text = "expired"
    else:
        text = f"{left:.3f}s remaining"
    out.say(text, {"key": args.key, "ttl": left, "status": text})
    return DONE


def purge(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    with entries_of(db, args) as entries:
        number = entries.purge_expired()
    out.say(f"{number} expired key(s) purged", {"purged": number})
    return DONE


# ---- Batches ----


def operations(lines: Iterable[str]) -> IteratorOf[Tuple[str, Optional[str]]]:
    """(key, value), or (key, None) for a deletion, of each line that is none but blank and no comment."""
    for number, line in enumerate(lines, 1):
        words = line.strip().split(None, 2)
        if not words or words[0].startswith("#"):
            continue
        verb = words[0].lower()
        if verb == "put":
            if len(words) < 3:
                raise Failure(f"line {number}: 'put' requires KEY and VALUE")
            yield words[1], words[2]
        elif verb in ("del", "delete", "rm"):
            if len(words) < 2:
                raise Failure(f"line {number}: {verb!r} requires KEY")
            yield words[1], None
        else:
            raise Failure(
                f"line {number}: unknown op {verb!r} (expected 'put KEY VALUE' or 'del KEY')"
            )


def txn(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    number = 0
    with db.transaction() as t:
        try:
            entries = t.open_column_family(args.cf) if args.cf else t
        except NotFoundError as error:
            raise Failure(str(error)) from None
        for key, value in operations(sys.stdin):
            if value is not None:
                entries.put(key, value)
            elif entries.exists(key):
                entries.delete(key)
            number += 1
        if number == 0 or args.dry_run:
            t.rollback()
    if number == 0:
        out.say("nothing to do (empty input)", {"committed": 0, "ops": 0})
    elif args.dry_run:
        text = f"dry-run: {number} op(s) validated, rolled back"
        out.say(text, {"committed": 0, "dry_run": True, "ops": number})
    else:
        out.say(f"{number} op(s) committed", {"committed": number})
    return DONE


# ---- Families and maintenance ----


def families(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    if args.cf_cmd == "list":
        names = db.list_column_families()
        text = "\n".join(names) if names else "(no user column families)"
        out.say(text, {"column_families": names})
        return DONE
    if not args.name:
        raise Failure(f"cf {args.cf_cmd} requires NAME")
    if args.cf_cmd == "create":
        db.create_column_family(args.name).close()
        out.say(f"created: {args.name}", {"created": args.name})
    else:
        db.drop_column_family(args.name)
        out.say(f"dropped: {args.name}", {"dropped": args.name})
    return DONE


def stats(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    now = db.stats()
    if args.reset:
        db.stats_reset()
    out.table(now)
    return DONE


def checkpoint(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    frames, copied = db.checkpoint(CHECKPOINTS[args.mode])
    text = f"mode={args.mode}  nlog={frames}  nckpt={copied}"
    out.say(text, {"nlog": frames, "nckpt": copied, "mode": args.mode})
    return DONE


def vacuum(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    db.vacuum(args.pages)
    out.say(f"vacuum complete (pages={args.pages})", {"status": "ok", "pages": args.pages})
    return DONE


def check(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    try:
        db.integrity_check()
    except CorruptError as error:
        if args.format == "json":
            print(json.dumps({"status": "corrupt", "detail": str(error)}))
        else:
            print(f"CORRUPT: {error}", file=sys.stderr)
        return FAILED
    out.say("integrity check passed", {"status": "ok"})
    return DONE


def info(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    names = db.list_column_families()
    out.table({
        "path": args.db,
        "encrypted": "yes" if db.is_encrypted() else "no",
        "cf_count": len(names),
        "cfs": ", ".join(names) if names else "(none)",
        "db_pages": db.stats()["db_pages"],
        "size_bytes": os.path.getsize(args.db) if os.path.isfile(args.db) else 0,
    })
    return DONE


def sync(db: KVStore, args: argparse.Namespace, out: Output) -> int:
    db.sync()
    out.say("sync complete", {"status": "ok"})
    return DONE


# ---- Encryption ----


def must_have(password: Optional[str], option: str, command: str) -> str:
    if not password:
        raise Failure(f"{option} is required for {command}")
    return password


def encrypt(args: argparse.Namespace, out: Output) -> int:
    password = must_have(args.new_password, "--new-password", "encrypt")
    if os.path.exists(args.db) and not is_plain(args):
        raise Failure("store is already encrypted; use 'rekey' to change the password")
    KVStore.open_encrypted(args.db, password, **{**options_of(args), "read_only": False}).close()
    # SNKV's tool loses expiries here, and says so. This one keeps them, but says what scripts know.
    out.say("encrypted successfully", {"status": "ok", "encrypted": True, "ttl_preserved": False})
    return DONE


def opened_with_password(args: argparse.Namespace, command: str) -> KVStore:
    """An encrypted store; never one that the password makes encrypted."""
    password = must_have(args.password, "--password", command)
    if not os.path.exists(args.db) or is_plain(args):
        raise Failure("store is not encrypted")
    return KVStore.open_encrypted(args.db, password, **{**options_of(args), "read_only": False})


def decrypt(args: argparse.Namespace, out: Output) -> int:
    with opened_with_password(args, "decrypt") as db:
        db.remove_encryption()
    out.say("decrypted successfully", {"status": "ok", "encrypted": False})
    return DONE


def rekey(args: argparse.Namespace, out: Output) -> int:
    password = must_have(args.new_password, "--new-password", "rekey")
    with opened_with_password(args, "rekey") as db:
        db.reencrypt(password)
    out.say("rekeyed successfully", {"status": "ok"})
    return DONE


# ---- The program ----


ON_STORES: Dict[str, Callable[[KVStore, argparse.Namespace, Output], int]] = {
    "put": put,
    "get": get,
    "del": delete,
    "exists": exists,
    "list": list_keys,
    "scan": scan,
    "count": count,
    "clear": clear,
    "set-if-absent": set_if_absent,
    "ttl": ttl_of,
    "purge": purge,
    "txn": txn,
    "sync": sync,
    "cf": families,
    "stats": stats,
    "checkpoint": checkpoint,
    "vacuum": vacuum,
    "check": check,
    "info": info,
}
#: These open stores by themselves.
ON_FILES: Dict[str, Callable[[argparse.Namespace, Output], int]] = {
    "encrypt": encrypt,
    "decrypt": decrypt,
    "rekey": rekey,
}


def run(args: argparse.Namespace) -> int:
    out = Output(args.format)
    if args.cmd in ON_FILES:
        return ON_FILES[args.cmd](args, out)
    with open_store(args) as db:
        return ON_STORES[args.cmd](db, args, out)


def message_of(error: Exception) -> str:
    if isinstance(error, AuthError):
        return f"error: {WRONG_PASSWORD}"
    if isinstance(error, ReadOnlyError):
        return "error: store is read-only"
    if isinstance(error, BusyError):
        return "error: database is busy; increase --timeout and retry"
    if isinstance(error, LockedError):
        return "error: database is locked"
    if isinstance(error, CorruptError):
        return f"error: database corruption detected: {error}"
    return f"error: {error}"


def main(arguments: Optional[List[str]] = None) -> int:
    args = build_parser().parse_args(arguments)
    try:
        code = run(args)
        sys.stdout.flush()
        return code
    except Failure as failure:
        print("not found:" if failure.code == NOT_FOUND else "error:", failure, file=sys.stderr)
        return failure.code
    except NotFoundError as error:
        print(f"not found: {error}", file=sys.stderr)
        return NOT_FOUND
    except BrokenPipeError:
        # Whoever reads has had enough; nobody is to hear of it again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (Error, OSError, UnicodeError) as error:
        print(message_of(error), file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
