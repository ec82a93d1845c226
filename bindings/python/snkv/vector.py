"""Collections of vectors in a store. Needs numpy.

    from snkv.vector import VectorStore

    with VectorStore("store.db", dim=128, space="cosine") as vs:
        vs.vector_put("doc:1", "hello world", embedding, metadata={"year": 2024})
        for hit in vs.search(query, top_k=5, filter={"year": {"$gte": 2020}}):
            print(hit.key, hit.distance, hit.value, hit.metadata)
"""

from __future__ import annotations

import json
import operator
import re
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, Iterable, List, Mapping, Optional, Sequence, Tuple, Union
from typing import Iterator as IteratorOf

try:
    import numpy as np
except ImportError as error:
    message = "snkv.vector needs numpy (Debian: python3-numpy, pip: snkv[vector])"
    raise ImportError(message) from error

from . import _snkv
from ._errors import InvalidArgumentError, NotFoundError, VectorIndexError
from ._store import KVStore, PathLike
from ._types import BytesLike, Progress

if not hasattr(_snkv, "VectorCollection"):
    raise ImportError("this build of snkv has no vectors: nlohmann-json was missing")

__all__ = [
    "SearchResult",
    "VectorIndexError",
    "VectorStore",
    "drop_collection",
    "list_collections",
]

Metadata = Dict[str, Any]
#: A condition on metadata (see docs/vector-search.md for the operators), or a function of them.
Filter = Union[Mapping[str, Any], Callable[[Metadata], bool]]
Item = Union[
    Tuple[BytesLike, BytesLike, Any], Tuple[BytesLike, BytesLike, Any, Optional[Mapping[str, Any]]]
]


@dataclass
class SearchResult:
    """What a search finds. The metadata are there only if the search had a filter."""

    key: bytes
    value: bytes
    distance: float
    metadata: Optional[Metadata] = field(default=None)


def _invalid(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, code="invalid_argument")


def _integer(name: str, value: Any, least: int) -> int:
    number = operator.index(value)
    if number < least:
        raise _invalid(f"{name} is at least {least}, not {number}")
    return number


def _vectors(values: Any, dimensions: int) -> Any:
    """As an array of float32 in one piece; the same array if it is one already."""
    try:
        array = np.asarray(values, dtype=np.float32, order="C")
    except ValueError as error:
        raise _invalid(f"not a vector: {error}") from error
    if array.ndim != dimensions:
        expected = "(dim,)" if dimensions == 1 else "(queries, dim)"
        raise _invalid(f"an array of shape {expected} is needed, not {array.shape}")
    return array


#: So many digits in a row may be an integer of more than 64 bits.
_MANY_DIGITS = re.compile("[0-9]{19}")


def _spelled(value: Any) -> Any:
    """The same with integers of more than 64 bits, for which JSON has no room in the library, as
    {"$int": "digits"}; the extension module takes them back."""
    if isinstance(value, Mapping):
        return {key: _spelled(member) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_spelled(element) for element in value]
    if isinstance(value, int) and not -(2**63) <= value < 2**64:
        return {"$int": str(value)}
    return value


def _json(value: Optional[Mapping[str, Any]]) -> Optional[str]:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise TypeError(f"metadata and filters are dicts, not {type(value).__name__}")
    try:
        text = json.dumps(value if isinstance(value, dict) else dict(value), allow_nan=False)
        if _MANY_DIGITS.search(text):
            text = json.dumps(_spelled(value), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise _invalid(f"not serializable as JSON: {error}") from error
    return text


def _is_object(wanted: Any) -> bool:
    """Whether a value of a filter is an object, in JSON or in how it is spelled; and no operators."""
    if isinstance(wanted, Mapping):
        return not any(isinstance(name, str) and name.startswith("$") for name in wanted)
    return isinstance(wanted, int) and not -(2**63) <= wanted < 2**64


def _as_python_compares(filter: Any) -> Any:
    """A filter whose plain values ({"field": value}) match what equals them in Python, as SNKV's filters
    do: None also what is missing, 1 also True and 0 also False. Operators stay what they are."""
    if not isinstance(filter, Mapping):
        return filter
    plain: Dict[str, Any] = {}
    others: List[Any] = []
    for field_name, wanted in filter.items():
        if isinstance(field_name, str) and field_name.startswith("$"):
            many = isinstance(wanted, (list, tuple))
            plain[field_name] = (
                [_as_python_compares(each) for each in wanted]
                if many
                else _as_python_compares(wanted)
            )
        elif wanted is None:
            others.append({"$or": [{field_name: None}, {field_name: {"$exists": False}}]})
        elif isinstance(wanted, (bool, int, float)) and wanted in (0, 1):
            plain[field_name] = {"$in": [bool(wanted), int(wanted)]}
        elif _is_object(wanted):
            plain[field_name] = {"$eq": wanted}  # the short form cannot have one
        else:
            plain[field_name] = wanted
    return {"$and": [plain, *others]} if others else plain


def _filter_json(filter: Optional[Mapping[str, Any]]) -> Optional[str]:
    return _json(_as_python_compares(filter))


def list_collections(db: KVStore) -> List[str]:
    """The names of the collections in a store, sorted."""
    return _snkv.list_collections(db._store)


def drop_collection(db: KVStore, name: str) -> bool:
    """Removes a collection with its values; whether there was one."""
    return _snkv.drop_collection(db._store, name)


class VectorStore:
    """A store with vectors beside its entries: keys have a value, a vector and metadata.

    path                None: in memory
    dim                 dimensions, fixed when the collection is made
    space               "l2" (squared), "cosine" (1 - cos), "ip" (negative dot product) or "l1"
    connectivity        links of a vector in the graph (2 to 64; others are brought into this range)
    expansion_add       how many candidates an insertion looks at (4 to 4096, likewise)
    expansion_search    how many a search keeps; None: what was stored, 64 for a new collection
    dtype               what is kept in memory: "f32", "f16" or "i8". The file has exact float32.
    password            opens an encrypted store, or encrypts it
    name                of the collection: a file may have several. The values of "default" are in
                        the default column family, those of others in the family of that name.
    keep_vectors        False: with f16 and i8, exact vectors are read from the file
    threads             for batches and for building the graph; 0: as many as the machine has
    memory_limit        bytes that the graph may take in memory; 0: any
    progress            called while the graph is built or read
    kv_kwargs           as of KVStore

    dim, space and dtype have to be as the collection was made with. Searches follow every commit,
    also of other processes. Threads: any number.
    """

    def __init__(
        self,
        path: Optional[PathLike],
        dim: int,
        *,
        space: str = "l2",
        connectivity: int = 16,
        expansion_add: int = 128,
        expansion_search: Optional[int] = None,
        dtype: str = "f32",
        password: Optional[Union[str, bytes]] = None,
        name: str = "default",
        keep_vectors: bool = True,
        threads: int = 0,
        memory_limit: int = 0,
        progress: Optional[Progress] = None,
        **kv_kwargs: Any,
    ) -> None:
        config = {
            "dim": _integer("dim", dim, 1),
            "space": space,
            "dtype": dtype,
            "m": min(max(_integer("connectivity", connectivity, 1), 2), 64),
            "ef_construction": min(max(_integer("expansion_add", expansion_add, 1), 4), 4096),
            "ef_search": None
            if expansion_search is None
            else min(_integer("expansion_search", expansion_search, 1), 65536),
            "keep_vectors": keep_vectors,
            "threads": _integer("threads", threads, 0),
            "memory_limit": _integer("memory_limit", memory_limit, 0),
        }
        _snkv.VectorCollection.check(name, config)  # before there is a file
        if password is not None:
            self._kv = KVStore.open_encrypted(path, password, **kv_kwargs)
        else:
            self._kv = KVStore(path, **kv_kwargs)
        try:
            self._collection = _snkv.VectorCollection.open(self._kv._store, name, config, progress)
            self._values = (
                self._kv.default_column_family()
                if name == "default"
                else self._kv.open_column_family(name)
            )
        except BaseException:
            self._kv.close()
            raise
        self._dim = dim
        # What is told of the collection when its index was dropped.
        self._info_at_open = self._collection.info()

    # ---- Writing ----

    def vector_put(
        self,
        key: BytesLike,
        value: Optional[BytesLike],
        vector: Any,
        *,
        ttl: Optional[float] = None,
        metadata: Optional[Mapping[str, Any]] = None,
    ) -> None:
        """Stores value, vector and metadata under `key`, in one transaction.

        value     None: the value that the key has stays
        ttl       seconds until all of it expires
        metadata  None: what the key has stays; {}: none from now on
        """
        self._collection.put(key, _vectors(vector, 1), value, _json(metadata), ttl)

    def vector_put_batch(
        self,
        items: Iterable[Item],
        *,
        ttl: Optional[float] = None,
        progress: Optional[Progress] = None,
    ) -> None:
        """`vector_put` for many, all or none: (key, value, vector) or (key, value, vector,
        metadata). Of a key that comes twice the last item counts. `progress` counts items, twice:
        as they are written, and as they are linked into the graph."""
        batch = []
        for item in items:
            if len(item) not in (3, 4):
                raise _invalid("an item is (key, value, vector) or (key, value, vector, metadata)")
            metadata = item[3] if len(item) == 4 else None
            batch.append((item[0], _vectors(item[2], 1), item[1], _json(metadata)))
        self._collection.put_batch(batch, ttl, progress)

    def put_array(
        self,
        keys: Sequence[BytesLike],
        vectors: Any,
        values: Optional[Sequence[Optional[BytesLike]]] = None,
        metadata: Optional[Sequence[Optional[Mapping[str, Any]]]] = None,
        *,
        ttl: Optional[float] = None,
        progress: Optional[Progress] = None,
    ) -> None:
        """`vector_put_batch` for the rows of an array, which are not copied."""
        rows = _vectors(vectors, 2)
        for name, sequence in (("vectors", rows), ("values", values), ("metadata", metadata)):
            if sequence is not None and len(sequence) != len(keys):
                raise _invalid(f"{len(keys)} keys, but {len(sequence)} {name}")
        batch = [
            (
                key,
                rows[i],
                None if values is None else values[i],
                None if metadata is None else _json(metadata[i]),
            )
            for i, key in enumerate(keys)
        ]
        self._collection.put_batch(batch, ttl, progress)

    def delete(self, key: BytesLike) -> None:
        """Removes `key`, value, vector and metadata; NotFoundError."""
        if not self._collection.delete(key):
            self._values.delete(key)

    def delete_if(self, filter: Mapping[str, Any]) -> int:
        """Removes what matches, in one transaction; how many there were."""
        return self._collection.delete_if(_filter_json(filter))

    def clear(self) -> None:
        """Removes all entries that have vectors, with their values."""
        self._collection.clear()

    # ---- Reading ----

    def vector_get(self, key: BytesLike) -> Any:
        """The vector as it was put, as an array of float32; NotFoundError."""
        return self._collection.get_vector(key)

    def get(self, key: BytesLike, default: Optional[bytes] = None) -> Optional[bytes]:
        """The value of `key`, or `default` if it is absent."""
        return self._values.get(key, default)

    def get_metadata(self, key: BytesLike) -> Optional[Metadata]:
        """The metadata of `key`; None if there are none, or no such key."""
        try:
            return self._collection.get_metadata(key)
        except (NotFoundError, VectorIndexError):
            return None

    def count(self, filter: Optional[Mapping[str, Any]] = None) -> int:
        """How many vectors there are, or how many match. By the index of metadata, without a
        scan. 0 after `drop_vector_index`."""
        try:
            return self._collection.count(_filter_json(filter))
        except VectorIndexError:
            return 0

    def keys(self, *, batch: int = 1000) -> IteratorOf[bytes]:
        """The keys that have vectors, in order, read in batches."""
        after = None
        while True:
            keys = self._collection.ids(after, _integer("batch", batch, 1))
            yield from keys
            if len(keys) < batch:
                return
            after = keys[-1]

    # ---- Searching ----

    def search(
        self,
        query: Any,
        top_k: int = 10,
        *,
        filter: Optional[Filter] = None,
        rerank: bool = False,
        oversample: int = 3,
        max_distance: Optional[float] = None,
        expansion: int = 0,
        exact: bool = False,
    ) -> List[SearchResult]:
        """The nearest entries, nearest first: exactly `top_k`, if so many match.

        filter        a dict of conditions, or a function of the metadata; results then have
                      metadata
        rerank        with f16 and i8: exact distances of the best `oversample` * top_k candidates
        max_distance  drops what is farther
        expansion     for this search, instead of expansion_search
        exact         compare with every vector that matches
        """
        hits = self._collection.search(
            _vectors(query, 1),
            _integer("top_k", top_k, 1),
            self._search(filter, rerank, oversample, max_distance, expansion, exact),
        )
        return [SearchResult(*hit) for hit in hits]

    def search_batch(
        self,
        queries: Any,
        top_k: int = 10,
        *,
        filter: Optional[Filter] = None,
        rerank: bool = False,
        oversample: int = 3,
        max_distance: Optional[float] = None,
        expansion: int = 0,
        exact: bool = False,
    ) -> List[List[SearchResult]]:
        """`search` for each row of an array, on all threads."""
        results = self._collection.search_batch(
            self._queries(queries),
            _integer("top_k", top_k, 1),
            self._search(filter, rerank, oversample, max_distance, expansion, exact),
        )
        return [[SearchResult(*hit) for hit in hits] for hits in results]

    def search_keys(
        self,
        query: Any,
        top_k: int = 10,
        *,
        filter: Optional[Filter] = None,
        max_distance: Optional[float] = None,
    ) -> List[Tuple[bytes, float]]:
        """(key, distance) of the nearest. Reads nothing from the file."""
        return self._collection.search_keys(
            _vectors(query, 1),
            _integer("top_k", top_k, 1),
            self._search(filter, False, 3, max_distance, 0, False),
        )

    def search_keys_batch(
        self,
        queries: Any,
        top_k: int = 10,
        *,
        filter: Optional[Filter] = None,
        max_distance: Optional[float] = None,
    ) -> List[List[Tuple[bytes, float]]]:
        """`search_keys` for each row of an array, on all threads."""
        return self._collection.search_keys_batch(
            self._queries(queries),
            _integer("top_k", top_k, 1),
            self._search(filter, False, 3, max_distance, 0, False),
        )

    # ---- Information and maintenance ----

    def vector_stats(self) -> Dict[str, Any]:
        """dim, space, dtype, connectivity, expansion_add, expansion_search, count, capacity,
        fill_ratio, vec_cf_count (rows, expired ones included), has_metadata, sidecar_enabled
        (whether the graph is saved beside the file), damaged (of `count`, those of which it is known
        that their rows are damaged: see `verify`). After `drop_vector_index` all counts are 0."""
        try:
            return self._collection.stats()
        except VectorIndexError:
            info = self._info_at_open
            parameters = ("connectivity", "expansion_add", "expansion_search")
            return {
                **{name: info[name] for name in ("dim", "space", "dtype", *parameters)},
                "count": 0,
                "capacity": 0,
                "fill_ratio": 0.0,
                "vec_cf_count": 0,
                "has_metadata": False,
                "sidecar_enabled": False,
                "damaged": 0,
            }

    def vector_info(self) -> Dict[str, Any]:
        """dim, space, dtype, count, connectivity, expansion_add, expansion_search, damaged."""
        try:
            return self._collection.info()
        except VectorIndexError:
            return {**self._info_at_open, "count": 0, "damaged": 0}

    def memory(self) -> Dict[str, int]:
        """What the index takes in memory, in bytes, by its parts."""
        return self._collection.memory()

    def vector_purge_expired(self, limit: int = 0) -> int:
        """Removes expired entries with their vectors, at most `limit` of them (0: all); how
        many. 0 after `drop_vector_index`."""
        try:
            return self._collection.purge_expired(_integer("limit", limit, 0))
        except VectorIndexError:
            return 0

    def compact(self, progress: Optional[Progress] = None) -> None:
        """Gives back the memory of replaced and deleted vectors. Happens by itself, too."""
        self._collection.compact(progress)

    def save(self, progress: Optional[Progress] = None) -> None:
        """Saves the graph beside the file, so that the next open is fast. `close` does so, too."""
        self._collection.save(progress)

    def verify(self, progress: Optional[Progress] = None) -> Dict[str, Any]:
        """Reads all rows of the collection, as of one moment, and looks whether they can be used.
        `KVStore.verify` does not know what they mean, so both belong together.

        Damaged rows raise nothing, but are counted: entries (that were looked at, expired ones
        included), damaged, removed and without_metadata (0; see `repair`), orphans (vectors of no
        entry), and rows, the first hundred damaged ones as (key, what is wrong). CorruptError if it
        is not the rows that are damaged but what describes them all. `progress` is told entries; of
        the collection it may read by key.
        """
        return self._collection.verify(progress)

    def repair(self, progress: Optional[Progress] = None) -> Dict[str, Any]:
        """`verify`, which also removes in one transaction what cannot be used: metadata that are no
        object from their entries (without_metadata counts them), and other entries whose rows are
        damaged (removed), with all but their values, which `get` still gives. After an exception
        nothing has changed. Other writers wait meanwhile."""
        return self._collection.repair(progress)

    def drop_vector_index(self) -> None:
        """Removes vectors, metadata and index for ever; the values stay. What needs vectors raises
        VectorIndexError afterwards; counts are 0. Doing it again does nothing."""
        try:
            self._collection.drop_index()
        except VectorIndexError:
            pass

    @property
    def kv(self) -> KVStore:
        """The store that the collection is in."""
        return self._kv

    # ---- Dict style: the values, and not the vectors ----

    def __getitem__(self, key: BytesLike) -> bytes:
        return self._values[key]

    def __setitem__(self, key: BytesLike, value: BytesLike) -> None:
        self._values[key] = value

    def __delitem__(self, key: BytesLike) -> None:
        self.delete(key)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return self.count()

    def __bool__(self) -> bool:
        # An empty store is a store.
        return True

    # ---- Lifecycle ----

    def close(self) -> None:
        """Closes the store. Saves the graph beside the file, if much has changed."""
        self._collection.close()
        self._kv.close()

    def __enter__(self) -> "VectorStore":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # ---- Helpers ----

    def _queries(self, queries: Any) -> Any:
        array = _vectors(queries, 2)
        if len(array) > 0 and array.shape[1] != self._dim:
            raise InvalidArgumentError(
                f"queries of {self._dim} dimensions are needed, not of {array.shape[1]}",
                code="dimension_mismatch",
            )
        return array

    @staticmethod
    def _search(
        filter: Optional[Filter],
        rerank: bool,
        oversample: int,
        max_distance: Optional[float],
        expansion: int,
        exact: bool,
    ) -> _snkv.VectorSearch:
        predicate = filter if callable(filter) else None
        return _snkv.VectorSearch(
            None if predicate is not None else _filter_json(filter),
            predicate,
            bool(rerank),
            _integer("oversample", oversample, 1),
            None if max_distance is None else float(max_distance),
            _integer("expansion", expansion, 0),
            bool(exact),
            filter is not None,
        )
