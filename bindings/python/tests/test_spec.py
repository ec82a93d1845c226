"""Every name and signature of SNKV's Python package, as data/spec.json has them from its
documents."""

import inspect
import json
import pathlib

import pytest

import snkv

SPEC = json.loads((pathlib.Path(__file__).parent / "data" / "spec.json").read_text("ascii"))


def complaint(member, signature, bound):
    """What is wrong with a method that is called as `signature`; None if nothing is.

    Beyond it a method may only have parameters with defaults, which no call by position can
    meet."""
    if signature == "property":
        return None if isinstance(member, property) else "no property"
    try:
        actual = list(inspect.signature(member).parameters.values())
    except (TypeError, ValueError) as error:
        return f"no signature: {error}"
    if not bound:
        actual = actual[1:]
    if signature == "*":
        return None if any(p.kind is p.VAR_POSITIONAL for p in actual) or len(actual) == 3 else actual
    wanted = list(
        inspect.signature(eval(f"lambda {signature}: None")).parameters.values()  # noqa: S307
    )
    by_position = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    positions = [p.name for p in actual if p.kind in by_position]
    for place, parameter in enumerate(wanted):
        same = next((p for p in actual if p.name == parameter.name), None)
        if same is None:
            return f"no parameter {parameter.name}"
        if parameter.kind in by_position and (
            same.kind not in by_position or positions[place] != parameter.name
        ):
            return f"{parameter.name} is not number {place}"
        if parameter.kind is not inspect.Parameter.POSITIONAL_OR_KEYWORD and same.kind != parameter.kind:
            return f"{parameter.name} is {same.kind}"
        if same.default != parameter.default:
            return f"{parameter.name} has the default {same.default}"
    names = {p.name for p in wanted}
    for parameter in actual:
        if parameter.name not in names and parameter.default is inspect.Parameter.empty:
            if parameter.kind is not inspect.Parameter.VAR_KEYWORD:
                return f"one more parameter: {parameter.name}"
    return None


def check(module, classes):
    wrong = []
    for name, members in classes.items():
        cls = getattr(module, name, None)
        if cls is None:
            wrong.append(f"no {name}")
            continue
        for member, signature in members.items():
            found = inspect.getattr_static(cls, member, None)
            if found is None:
                wrong.append(f"no {name}.{member}")
                continue
            is_class_method = isinstance(found, classmethod)
            if is_class_method != (member in SPEC["class_methods"]):
                wrong.append(f"{name}.{member} is a class method, or should be one")
            value = found if isinstance(found, property) else getattr(cls, member)
            problem = complaint(value, signature, is_class_method)
            if problem is not None:
                wrong.append(f"{name}.{member}({signature}): {problem}")
    assert not wrong, "\n".join(wrong)


def test_constants():
    assert {name: getattr(snkv, name) for name in SPEC["constants"]} == SPEC["constants"]


def test_exceptions():
    for name, bases in SPEC["exceptions"].items():
        for base in bases:
            cls = getattr(snkv, base, None) or getattr(__import__("builtins"), base)
            assert issubclass(getattr(snkv, name), cls), (name, base)


def test_names_are_exported():
    names = [*SPEC["constants"], *SPEC["exceptions"], *SPEC["classes"]]
    assert not set(names) - set(snkv.__all__)
    for name in snkv.__all__:
        assert hasattr(snkv, name)


def test_classes():
    check(snkv, SPEC["classes"])


def test_vector_classes():
    vector = pytest.importorskip("snkv.vector")
    check(vector, SPEC["vector_classes"])
    for name in (*SPEC["vector_classes"], *SPEC["vector_exceptions"]):
        assert name in vector.__all__
    assert issubclass(vector.VectorIndexError, Exception)


def test_what_statistics_have(db):
    assert list(db.stats()) == SPEC["stats"]


def test_what_vector_statistics_have():
    vector = pytest.importorskip("snkv.vector")
    with vector.VectorStore(None, 2) as vs:
        for _ in range(2):
            # What this library adds comes last.
            assert list(vs.vector_stats()) == [*SPEC["vector_stats"], "damaged"]
            assert list(vs.vector_info()) == [*SPEC["vector_info"], "damaged"]
            vs.drop_vector_index()


def test_the_stub_has_what_the_extension_module_has():
    import ast

    import snkv._snkv as module

    stub = ast.parse((pathlib.Path(snkv.__file__).parent / "_snkv.pyi").read_text("utf-8"))
    wrong = []
    for cls in (node for node in stub.body if isinstance(node, ast.ClassDef)):
        if not hasattr(module, cls.name):
            assert cls.name.startswith("Vector")  # a build without vectors
            continue
        described = {node.name for node in cls.body if isinstance(node, ast.FunctionDef)}
        there = {
            name for name, value in vars(getattr(module, cls.name)).items()
            if callable(value) or isinstance(value, staticmethod)
        }
        public = {name for name in there if not name.startswith("_")}
        wrong += [f"{cls.name}.{name}" for name in described ^ (public | described & there)]
    assert not wrong


def test_everything_public_is_documented():
    import snkv.aio

    modules = [snkv, snkv.aio]
    inherited = {"args", "with_traceback", "add_note"}
    undocumented = []
    for module in modules:
        for name in module.__all__:
            thing = getattr(module, name)
            if not callable(thing):
                continue
            if not inspect.getdoc(thing):
                undocumented.append(name)
            if inspect.isclass(thing):
                for member, value in inspect.getmembers(thing):
                    if member.startswith("_") or member in inherited:
                        continue
                    if not inspect.getdoc(value):
                        undocumented.append(f"{name}.{member}")
    assert not undocumented


def test_the_checker_finds_what_is_wrong():
    def method(self, key, default=None, *, extra=1):
        pass

    assert complaint(method, "key, default=None", False) is None
    assert complaint(method, "key, default=None, *, extra=1", False) is None
    assert complaint(method, "key", False) is None
    assert "no parameter" in complaint(method, "key, other", False)
    assert "default" in complaint(method, "key, default=1", False)
    assert "number" in complaint(method, "default=None, key=None", False)
    assert "one more" in complaint(method, "default=None", False) or "number" in complaint(
        method, "default=None", False
    )
    assert "no property" in complaint(method, "property", False)
    assert "KEYWORD" in str(complaint(method, "key, *, default=None", False))
