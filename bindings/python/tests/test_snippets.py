"""The snippets of data/snippets.md, and those of docs/python.md, run as they are printed."""

import contextlib
import io
import pathlib
import re
import shlex

import pytest

import snkv
from snkv import KVStore

HERE = pathlib.Path(__file__).parent
DOCUMENTS = [HERE / "data" / "snippets.md", HERE.parents[2] / "docs" / "python.md"]


def snippets(document):
    """(title, attributes, code) of each; the title is the line before it."""
    lines = document.read_text("utf-8").split("\n")
    found = []
    start = None
    for number, line in enumerate(lines):
        if line.startswith("```python"):
            start, attributes = number, line[len("```python"):]
        elif line == "```" and start is not None:
            title = f"{document.name}:{start + 1} {lines[start - 1]}"
            found.append((title, attributes, "\n".join(lines[start + 1:number])))
            start = None
    return found


def attributes_of(text):
    out = {}
    for part in shlex.split(text):
        name, _, value = part.partition("=")
        out[name] = value.encode().decode("unicode_escape")
    return out


def surroundings(names, stack):
    """What a snippet finds when it begins."""
    scope = {"snkv": snkv, "KVStore": KVStore, "processed": []}
    scope["process"] = lambda what=None: scope["processed"].append(what)
    scope["run_job"] = lambda: scope["processed"].append("job")
    if "constants" in names:
        scope.update({name: getattr(snkv, name) for name in snkv.__all__})
    if {"db", "cf"} & set(names):
        scope["db"] = stack.enter_context(KVStore("db.db"))
    if "cf" in names:
        scope["cf"] = stack.enter_context(scope["db"].create_column_family("cf"))
    entries = {"target": "0", "user:alice": "1", "user:bob": "2", "user:carol": "3", "zoe": "4"}
    for name in names:
        if name == "filled":
            scope["db"].put_many(entries)
        elif name == "cf_filled":
            scope["cf"].put_many(entries)
        elif name in ("users", "dedup"):
            scope["db"].create_column_family(name).close()
        elif name == "perm":
            scope["db"]["perm"] = "value"
        elif name == "token":
            scope["cf"].put("token", "value", ttl=300)
        elif name == "data":
            scope["data"] = b"data"
        elif name in ("vs", "doc"):
            import numpy

            from snkv.vector import VectorStore

            scope["np"] = numpy
            if "vs" not in scope:
                scope["vs"] = stack.enter_context(VectorStore("vs.db", dim=128))
            if name == "doc":
                scope["vs"].vector_put(b"doc:1", b"hello", [1.0] * 128)
    return scope


ALL = [snippet for document in DOCUMENTS if document.exists() for snippet in snippets(document)]


@pytest.mark.parametrize("title, attributes, code", ALL, ids=[title for title, _, _ in ALL])
def test_snippet(title, attributes, code, tmp_path, monkeypatch):
    options = attributes_of(attributes)
    needs = options.get("needs", "").split()
    if "vector" in needs:
        pytest.importorskip("snkv.vector")
    monkeypatch.chdir(tmp_path)
    printed = io.StringIO()
    with contextlib.ExitStack() as stack:
        scope = surroundings(options.get("with", "").split(), stack)
        with contextlib.redirect_stdout(printed):
            if "raises" in options:
                with pytest.raises(getattr(snkv, options["raises"])):
                    exec(compile(code, title, "exec"), scope)
            else:
                exec(compile(code, title, "exec"), scope)
        if "reopens" in options:
            scope["db"] = stack.enter_context(KVStore("mydb.db"))
        if "check" in options:
            assert eval(options["check"], scope), options["check"]
    if "prints" in options:
        assert options["prints"] in printed.getvalue()
    # What a comment says that a print shows is true, where it says all of it.
    for line in code.split("\n"):
        told = re.match(r"\s*print\(.*\)\s+# (b'[^']*'|\d+)$", line)
        if told:
            assert told.group(1) in printed.getvalue()


def test_snippets_are_found():
    assert len(snippets(DOCUMENTS[0])) >= 45
    assert DOCUMENTS[1].exists() and len(snippets(DOCUMENTS[1])) >= 8
