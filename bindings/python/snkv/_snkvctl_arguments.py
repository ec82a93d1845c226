"""The arguments of snkvctl."""

from __future__ import annotations

import argparse
import sys
from typing import Any, NoReturn

from ._constants import (
    CHECKPOINT_FULL,
    CHECKPOINT_PASSIVE,
    CHECKPOINT_RESTART,
    CHECKPOINT_TRUNCATE,
    JOURNAL_DELETE,
    JOURNAL_WAL,
    SYNC_FULL,
    SYNC_NORMAL,
    SYNC_OFF,
)

#: The exit code for an error, also in the arguments.
FAILED = 1

JOURNALS = {"wal": JOURNAL_WAL, "delete": JOURNAL_DELETE}
SYNCS = {"off": SYNC_OFF, "normal": SYNC_NORMAL, "full": SYNC_FULL}
CHECKPOINTS = {
    "passive": CHECKPOINT_PASSIVE,
    "full": CHECKPOINT_FULL,
    "restart": CHECKPOINT_RESTART,
    "truncate": CHECKPOINT_TRUNCATE,
}


class Parser(argparse.ArgumentParser):
    """Ends with 1 for bad arguments: 2 means that a key is not there."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(FAILED, f"{self.prog}: error: {message}\n")


def add_options(parser: argparse.ArgumentParser) -> None:
    """What stands before the command."""
    add = parser.add_argument
    add("--db", required=True, metavar="PATH", help="file of the store")
    add("--cf", metavar="NAME", help="column family to work on; default: the default one")
    add("--password", metavar="PASS", help="of an encrypted store (others can see arguments)")
    add("--timeout", metavar="MS", type=int, default=3000,
        help="milliseconds to wait for other writers (default: 3000)")
    add("--format", choices=["text", "json"], default="text",
        help="of the output (default: text); may stand behind the command, too")
    add("--journal", choices=sorted(JOURNALS), default="wal", help="default: wal")
    add("--sync", choices=list(SYNCS), default="normal", help="when to fsync (default: normal)")
    add("--cache-size", metavar="N", type=int, help="page cache, in pages (default: 2000)")
    add("--page-size", metavar="N", type=int, help="bytes, for new files (default: 4096)")
    add("--read-only", action="store_true", help="refuse to write")
    add("--wal-limit", metavar="N", type=int, help="checkpoint when the log has so many pages (0: never)")
    add("--full-mutex", action="store_true", help="accepted, and of no meaning")


def add_commands(commands: Any) -> None:
    format_option = Parser(add_help=False)
    # SUPPRESS: what was said before the command stays, unless something is said behind it.
    format_option.add_argument("--format", choices=["text", "json"], default=argparse.SUPPRESS)

    def command(name: str, help: str, *positional: str) -> argparse.ArgumentParser:
        parser: argparse.ArgumentParser = commands.add_parser(
            name, parents=[format_option], help=help, description=help
        )
        for each in positional:
            parser.add_argument(each)
        return parser

    command("put", "store a value", "key", "value").add_argument("--ttl", metavar="SECS", type=float)
    command("get", "print the value of a key", "key")
    what = command("del", "delete a key, or all that begin with --prefix")
    what_group = what.add_mutually_exclusive_group(required=True)
    what_group.add_argument("key", nargs="?")
    what_group.add_argument("--prefix", metavar="P")
    command("exists", "whether a key is there (exit code 0 or 2)", "key")
    for name, help in (("list", "print keys"), ("scan", "print keys and values")):
        walked = command(name, help)
        walked.add_argument("--prefix", metavar="P")
        walked.add_argument("--seek", metavar="KEY", help="begin with the first key >= KEY")
        walked.add_argument("--reverse", action="store_true")
        walked.add_argument("--limit", metavar="N", type=int, default=0)
    command("count", "count entries").add_argument("--prefix", metavar="P")
    command("clear", "delete all entries of the family")
    absent = command("set-if-absent", "store a value if the key is not there", "key", "value")
    absent.add_argument("--ttl", metavar="SECS", type=float)
    command("ttl", "print the time until a key expires", "key")
    command("purge", "delete what has expired")
    batch = command("txn", "carry out 'put KEY VALUE' and 'del KEY' lines of the standard input, all or none")
    batch.add_argument("--dry-run", action="store_true", help="check the lines, and write nothing")
    batch.add_argument("--cf", metavar="NAME", default=argparse.SUPPRESS, help="as before the command")
    command("sync", "make all commits safe on the disk")
    family = command("cf", "list, create or drop column families")
    family.add_argument("cf_cmd", choices=["list", "create", "drop"], metavar="{list,create,drop}")
    family.add_argument("name", nargs="?", metavar="NAME")
    command("stats", "print counters").add_argument("--reset", action="store_true")
    command("checkpoint", "copy the log into the file").add_argument(
        "--mode", choices=list(CHECKPOINTS), default="passive")
    command("vacuum", "give unused pages back").add_argument(
        "--pages", type=int, default=0, metavar="N", help="at most so many (0: all)")
    command("check", "check the structure of the file")
    command("info", "print path, encryption, families and size")
    for name, help in (("encrypt", "encrypt a store"), ("rekey", "change the password")):
        command(name, help).add_argument("--new-password", required=True, metavar="PASS")
    command("decrypt", "make a store that is not encrypted")


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="snkvctl",
        description="Looks into stores, and works on them.",
        epilog="Exit codes: 0; 1 for an error; 2 if a key or a family is not there.",
    )
    add_options(parser)
    add_commands(parser.add_subparsers(dest="cmd", required=True, metavar="COMMAND", parser_class=Parser))
    return parser
