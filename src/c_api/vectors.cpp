/// \file
/// Vectors: the collection "default" of a store, whose values are in its default family.
#include "c_api/gate.hpp"
#include "c_api/handle.hpp"
#include "c_api/options.hpp"
#include "c_api/outcome.hpp"
#include "c_api/progress.hpp"

#include <snkv/c/kvstore_vec.h>
#include <snkv/vector.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace snkv::c_api {

struct Vectors {
  Store store;
  VectorStore<> vectors;
  /// That an entry had metadata once; looked up when it is asked for.
  std::atomic<bool> has_metadata = false;

  Vectors(Store opened, VectorStore<> collection_of_it)
      : store(std::move(opened)), vectors(std::move(collection_of_it)) {}
};

}  // namespace snkv::c_api

struct KVVecStore : snkv::c_api::Handle {
  static constexpr auto own_kind = snkv::c_api::Kind::vectors;
  snkv::c_api::Gate gate;
  std::optional<snkv::c_api::Vectors> open;
};

namespace snkv::c_api {
namespace {

constexpr std::string_view collection = "default";

int vector_code_of(const Error& error) noexcept {
  switch (error.code()) {
    case Errc::dimension_mismatch:
      return KVVEC_DIM_MISMATCH;
    case Errc::dtype_mismatch:
      return KVVEC_DTYPE_MISMATCH;
    case Errc::metric_mismatch:
      return KVVEC_SPACE_MISMATCH;
    case Errc::index_dropped:
      return KVVEC_INDEX_DROPPED;
    case Errc::bad_vector:
      return KVVEC_BAD_VECTOR;
    default:
      return code_of(error);
  }
}

template <class T>
int done(const Result<T>& result) noexcept {
  return result ? KVSTORE_OK : vector_code_of(result.error());
}

/// A call that calls a function of the program, in its own thread. What the function calls on the same handle
/// is a part of this call: it must not stop at the gate, where somebody may be waiting to close the handle,
/// who waits for this call. And if the function closes the handle, that is done when this call has ended.
class TellingCall {
 public:
  /// `closes`: becomes true if the function closes the handle.
  TellingCall(KVVecStore* handle, bool& closes) noexcept
      : handle_(handle), closes_(closes), before_(latest) {
    latest = this;
  }
  TellingCall(const TellingCall&) = delete;
  TellingCall& operator=(const TellingCall&) = delete;
  ~TellingCall() { latest = before_; }

  /// The one on this handle that this thread is in; null if there is none.
  [[nodiscard]] static TellingCall* on(const KVVecStore* handle) noexcept {
    TellingCall* call = latest;
    while (call != nullptr && call->handle_ != handle) call = call->before_;
    return call;
  }

  void close_later() noexcept { closes_ = true; }

 private:
  static thread_local TellingCall* latest;
  KVVecStore* handle_;
  bool& closes_;
  TellingCall* before_;
};
thread_local TellingCall* TellingCall::latest = nullptr;

/// Runs `body(Vectors&)`, which returns a code, on an open handle; `KVSTORE_ERROR` if it is none.
template <class Body>
int with_vectors(KVVecStore* handle, Body&& body) noexcept {
  if (!is_open(handle)) return KVSTORE_ERROR;
  if (TellingCall::on(handle) != nullptr) return guarded([&] { return body(*handle->open); });
  handle->gate.enter();
  const int code =
      handle->open ? guarded([&] { return body(*handle->open); }) : KVSTORE_ERROR;
  handle->gate.leave();
  return code;
}

/// The same with a key.
template <class Body>
int with_key(KVVecStore* handle, const void* key, int key_size, Body&& body) noexcept {
  const auto bytes = buffer(key, key_size);
  if (!bytes || bytes->empty()) return KVSTORE_ERROR;
  return with_vectors(handle, [&](Vectors& open) { return body(open, *bytes); });
}

// ---- Opening ----

constexpr Metric metrics[] = {Metric::l2, Metric::cosine, Metric::inner_product, Metric::l1};
constexpr ElementType types[] = {ElementType::f32, ElementType::f16, ElementType::i8};

template <class T, std::size_t n>
int position_of(const T (&all)[n], T one) noexcept {
  return static_cast<int>(std::find(std::begin(all), std::end(all), one) - std::begin(all));
}

/// A parameter brought into its range; 0 is none.
std::optional<std::uint32_t> parameter(int given, int least, int most) {
  if (given == 0) return std::nullopt;
  return static_cast<std::uint32_t>(std::clamp(given, least, most));
}

struct Given {
  const char* path;
  int dim;
  int space;
  int connectivity;
  int expansion_add;
  int expansion_search;
  int dtype;
};

Error options_of(const Given& given, VectorStoreOptions& out) {
  const auto refuse = [](const char* why) { return Error(Errc::invalid_argument, "open", why); };
  if (given.dim <= 0) return refuse("the number of dimensions is not positive");
  if (given.space < 0 || given.space > KVVEC_SPACE_L1) return refuse("there is no such space");
  if (given.dtype < 0 || given.dtype > KVVEC_DTYPE_I8) return refuse("there is no such type");
  if (given.connectivity < 0 || given.expansion_add < 0 || given.expansion_search < 0) {
    return refuse("a parameter of the index is negative");
  }
  out.name = collection;
  out.dim = static_cast<std::size_t>(given.dim);
  out.metric = metrics[given.space];
  out.dtype = types[given.dtype];
  out.m = parameter(given.connectivity, 2, 64);
  out.ef_construction = parameter(given.expansion_add, 4, 4096);
  out.ef_search = parameter(given.expansion_search, 1, 65536);
  return {};
}

Result<Store> open_file(const char* path, BytesView password, const Options& options) {
  if (!password.empty()) return open_encrypted(path, Secret::password(password), options);
  return in_memory(path) ? Store::open_in_memory(options) : Store::open(path, options);
}

int open(const Given& given, BytesView password, KVVecStore** out) {
  VectorStoreOptions options;
  if (Error error = options_of(given, options); error.failed()) return failed_to_open(error);
  Options store_options;
  if (Error error = c_api::options_of({}, store_options); error.failed()) {
    return failed_to_open(error);
  }
  // Before there is a file.
  if (auto checked = VectorStore<>::check(options); !checked) return failed_to_open(checked.error());
  auto store = open_file(given.path, password, store_options);
  if (!store) return failed_to_open(store.error());
  auto vectors = VectorStore<>::open(*store, options);
  if (!vectors) {
    failed_to_open(vectors.error());
    return vector_code_of(vectors.error());
  }
  KVVecStore* handle = handles<KVVecStore>().take();
  handle->open.emplace(*std::move(store), *std::move(vectors));
  handle->kind.store(Kind::vectors, std::memory_order_release);
  *out = handle;
  return KVSTORE_OK;
}

void close(KVVecStore* handle) noexcept {
  if (!is_open(handle)) return;
  if (TellingCall* const call = TellingCall::on(handle)) {
    call->close_later();
    return;
  }
  handle->gate.enter_alone();
  if (handle->open) {
    handle->open.reset();
    handles<KVVecStore>().give_back(handle);
  }
  handle->gate.leave_alone();
}

// ---- Writing ----

/// Metadata as they are given: NULL is none, 0 bytes are an empty object. False if they are no object.
bool parse_metadata(const void* data, int size, Json& out) {
  if (data == nullptr && size == 0) return true;
  const auto bytes = buffer(data, size);
  if (!bytes) return false;
  out = bytes->empty() ? Json::object()
                       : vector_detail::parse_json(bytes->view());
  return out.is_object();
}

std::optional<TimePoint> expiry(std::int64_t expire_ms) {
  if (expire_ms == 0) return std::nullopt;
  return TimePoint(std::chrono::milliseconds(expire_ms));
}

/// Checks an item and takes it over; its code if it is none.
int item_of(const KVVecItem& given, std::int64_t expire_ms, std::size_t dim, VectorItem& out) {
  const auto key = buffer(given.pKey, given.nKey);
  const auto value = value_buffer(given.pVal, given.nVal);
  if (!key || key->empty() || !value || expire_ms < 0) return KVSTORE_ERROR;
  if (given.pVec == nullptr) return KVVEC_BAD_VECTOR;
  if (!parse_metadata(given.pMeta, given.nMeta, out.metadata)) return KVSTORE_ERROR;
  out.key = *key;
  out.vector = {given.pVec, dim};
  out.value = *value;
  out.expires_at = expiry(expire_ms);
  return KVSTORE_OK;
}

int put_batch(Vectors& open, const KVVecItem* given, int count, std::int64_t expire_ms) {
  std::vector<VectorItem> items(static_cast<std::size_t>(count));
  bool with_metadata = false;
  for (std::size_t i = 0; i < items.size(); ++i) {
    const int code = item_of(given[i], expire_ms, open.vectors.dim(), items[i]);
    if (code != KVSTORE_OK) return code;
    with_metadata = with_metadata || (items[i].metadata.is_object() && !items[i].metadata.empty());
  }
  const int code = done(open.vectors.put_batch(items));
  if (code == KVSTORE_OK && with_metadata) open.has_metadata = true;
  return code;
}

int erase(Vectors& open, BytesView key) {
  auto existed = open.vectors.erase(key);
  if (!existed) return vector_code_of(existed.error());
  if (*existed) return KVSTORE_OK;
  // A value that has no vector.
  existed = open.store.erase(key);
  if (!existed) return vector_code_of(existed.error());
  return *existed ? KVSTORE_OK : KVSTORE_NOTFOUND;
}

// ---- Reading ----

int get_vector(Vectors& open, BytesView key, float** out, int* floats) {
  auto found = open.vectors.get_vector(key);
  if (!found) return vector_code_of(found.error());
  *out = static_cast<float*>(copy_out(BytesView(found->data(), found->size() * sizeof(float))));
  if (*out == nullptr) return KVSTORE_NOMEM;
  *floats = as_int(found->size());
  return KVSTORE_OK;
}

Result<bool> any_metadata(Vectors& open) {
  if (open.has_metadata) return true;
  auto stats = open.vectors.stats();
  if (!stats) return Unexpected(std::move(stats).error());
  if (stats->with_metadata > 0) open.has_metadata = true;
  return stats->with_metadata > 0;
}

int copy_text(const Json& json, void** out, int* size) {
  const std::string text = json.dump();
  *out = copy_out(text);
  if (*out == nullptr) return KVSTORE_NOMEM;
  *size = as_int(text.size());
  return KVSTORE_OK;
}

int get_metadata(Vectors& open, BytesView key, void** out, int* size) {
  auto found = open.vectors.get_metadata(key);
  if (found && found->is_object() && !found->empty()) return copy_text(*found, out, size);
  if (!found && !(found.error() == Errc::not_found)) return vector_code_of(found.error());
  auto any = any_metadata(open);
  if (!any) return vector_code_of(any.error());
  return *any ? KVSTORE_NOTFOUND : KVSTORE_OK;
}

// ---- Searching ----

/// Sets the pointer and the size of a part of a result. False if there is no memory.
bool set_part(BytesView bytes, void** data, int* size) noexcept {
  *data = copy_out(bytes);
  *size = *data == nullptr ? 0 : as_int(bytes.size());
  return *data != nullptr;
}

bool set_result(const VectorHit& hit, KVVecSearchResult& out) {
  out.distance = hit.distance;
  if (!set_part(hit.key, &out.pKey, &out.nKey)) return false;
  if (hit.value && !set_part(*hit.value, &out.pValue, &out.nValue)) return false;
  if (!hit.metadata.is_object() || hit.metadata.empty()) return true;
  return set_part(hit.metadata.dump(), &out.pMetadata, &out.nMetadata);
}
bool set_result(const VectorKey& hit, KVVecKeyResult& out) {
  out.distance = hit.distance;
  return set_part(hit.key, &out.pKey, &out.nKey);
}

void free_parts(KVVecSearchResult& result) noexcept {
  std::free(result.pKey);
  std::free(result.pValue);
  std::free(result.pMetadata);
}
void free_parts(KVVecKeyResult& result) noexcept { std::free(result.pKey); }

template <class Out>
void free_all(Out* results, int count) noexcept {
  for (int i = 0; results != nullptr && i < count; ++i) free_parts(results[i]);
  std::free(results);
}

/// Owns the array until it is complete.
template <class Out>
struct Unfinished {
  Out* results;
  int count;
  explicit Unfinished(std::size_t size)
      : results(static_cast<Out*>(std::calloc(size, sizeof(Out)))), count(as_int(size)) {}
  Unfinished(const Unfinished&) = delete;
  Unfinished& operator=(const Unfinished&) = delete;
  ~Unfinished() { free_all(results, count); }
};

template <class Hit, class Out>
int give_out(Vectors& open, const Result<std::vector<Hit>>& hits, Out** out, int* count) {
  if (!hits) return vector_code_of(hits.error());
  if (hits->empty()) {
    auto size = open.vectors.size();
    if (!size) return vector_code_of(size.error());
    return *size == 0 ? KVVEC_INDEX_EMPTY : KVSTORE_OK;
  }
  Unfinished<Out> made(hits->size());
  if (made.results == nullptr) return KVSTORE_NOMEM;
  for (std::size_t i = 0; i < hits->size(); ++i) {
    if (!set_result((*hits)[i], made.results[i])) return KVSTORE_NOMEM;
  }
  *out = std::exchange(made.results, nullptr);
  *count = made.count;
  return KVSTORE_OK;
}

/// Whether the arguments of a search are some; the code if not.
template <class Out>
int check_search(const float* query, int top_k, Out** results, int* count) noexcept {
  if (results != nullptr) *results = nullptr;
  if (count != nullptr) *count = 0;
  if (results == nullptr || count == nullptr || top_k <= 0) return KVSTORE_ERROR;
  return query == nullptr ? KVVEC_BAD_VECTOR : KVSTORE_OK;
}

// ---- Maintenance ----

int stats(Vectors& open, KVVecStats& out) {
  out.dim = as_int(open.vectors.dim());
  out.space = position_of(metrics, open.vectors.metric());
  out.dtype = position_of(types, open.vectors.dtype());
  auto found = open.vectors.stats();
  if (!found) return found.error() == Errc::index_dropped ? KVSTORE_OK : vector_code_of(found.error());
  out.connectivity = as_int(found->info.m);
  out.expansion_add = as_int(found->info.ef_construction);
  out.expansion_search = as_int(found->info.ef_search);
  out.count = static_cast<std::int64_t>(found->info.count);
  out.capacity = static_cast<std::int64_t>(found->slots);
  if (out.capacity > 0) out.fill_ratio = static_cast<double>(out.count) / static_cast<double>(out.capacity);
  out.vec_cf_count = static_cast<std::int64_t>(found->entries);
  out.has_metadata = found->with_metadata > 0 ? 1 : 0;
  out.sidecar_enabled = found->can_save ? 1 : 0;
  out.damaged = static_cast<std::int64_t>(found->info.damaged);
  return KVSTORE_OK;
}

void free_report(KVVecCheckReport& report) noexcept {
  for (int i = 0; i < report.nRows; ++i) {
    std::free(report.pRows[i].pKey);
    std::free(report.pRows[i].pWhat);
  }
  std::free(report.pRows);
  report = KVVecCheckReport{};
}

int set_report(const VectorCheckReport& found, KVVecCheckReport& out) {
  out.entries = static_cast<std::int64_t>(found.entries);
  out.damaged = static_cast<std::int64_t>(found.damaged);
  out.removed = static_cast<std::int64_t>(found.removed);
  out.without_metadata = static_cast<std::int64_t>(found.without_metadata);
  out.orphans = static_cast<std::int64_t>(found.orphans);
  if (found.rows.empty()) return KVSTORE_OK;
  out.pRows = static_cast<KVVecDamage*>(std::calloc(found.rows.size(), sizeof(KVVecDamage)));
  if (out.pRows == nullptr) return KVSTORE_NOMEM;
  out.nRows = as_int(found.rows.size());
  for (std::size_t i = 0; i < found.rows.size(); ++i) {
    KVVecDamage& row = out.pRows[i];
    row.pWhat = static_cast<char*>(copy_out(found.rows[i].what));
    if (!set_part(found.rows[i].key, &row.pKey, &row.nKey) || row.pWhat == nullptr) return KVSTORE_NOMEM;
  }
  return KVSTORE_OK;
}

/// Runs `body(vectors, progress)`, which looks for damaged rows, and gives out what it has found.
template <class Body>
int check(KVVecStore* handle, KVVecCheckReport* report, KVProgress progress, void* context,
          Body&& body) noexcept {
  if (report != nullptr) *report = KVVecCheckReport{};
  bool closes = false;
  const int code = with_vectors(handle, [&](Vectors& open) {
    if (report == nullptr) return KVSTORE_ERROR;
    const TellingCall call(handle, closes);
    const auto found = body(open.vectors, progress_of(progress, context));
    return found ? set_report(*found, *report) : vector_code_of(found.error());
  });
  if (code != KVSTORE_OK && report != nullptr) free_report(*report);
  if (closes) close(handle);
  return code;
}

}  // namespace
}  // namespace snkv::c_api

namespace api = snkv::c_api;

extern "C" {

int kvstore_vec_open(const char* path, int dim, int space, int connectivity, int expansion_add,
                     int expansion_search, int dtype, const uint8_t* password, int password_size,
                     KVVecStore** vectors) {
  if (vectors == nullptr) return KVSTORE_ERROR;
  *vectors = nullptr;
  const auto secret = api::buffer(password, password_size);
  if (!secret) return KVSTORE_ERROR;
  return api::guarded([&] {
    return api::open({path, dim, space, connectivity, expansion_add, expansion_search, dtype}, *secret,
                     vectors);
  });
}

void kvstore_vec_close(KVVecStore* vectors) { api::close(vectors); }

int kvstore_vec_put(KVVecStore* vectors, const void* key, int key_size, const void* value,
                    int value_size, const float* vector, int64_t expire_ms, const void* metadata,
                    int metadata_size) {
  const KVVecItem item{key, key_size, value, value_size, vector, metadata, metadata_size};
  return kvstore_vec_put_batch(vectors, &item, 1, expire_ms);
}

int kvstore_vec_put_batch(KVVecStore* vectors, const KVVecItem* items, int count,
                          int64_t expire_ms) {
  return api::with_vectors(vectors, [&](api::Vectors& open) {
    if (count < 0 || (items == nullptr && count > 0)) return KVSTORE_ERROR;
    if (count == 0) return KVSTORE_OK;
    return api::put_batch(open, items, count, expire_ms);
  });
}

int kvstore_vec_kv_put(KVVecStore* vectors, const void* key, int key_size, const void* value,
                       int value_size) {
  return api::with_key(vectors, key, key_size, [&](api::Vectors& open, snkv::BytesView bytes) {
    const auto contents = api::value_buffer(value, value_size);
    if (!contents) return KVSTORE_ERROR;
    return api::done(open.store.put(bytes, *contents));
  });
}

int kvstore_vec_delete(KVVecStore* vectors, const void* key, int key_size) {
  return api::with_key(vectors, key, key_size, api::erase);
}

int kvstore_vec_get(KVVecStore* vectors, const void* key, int key_size, void** value,
                    int* value_size) {
  if (value != nullptr) *value = nullptr;
  if (value_size != nullptr) *value_size = 0;
  return api::with_key(vectors, key, key_size, [&](api::Vectors& open, snkv::BytesView bytes) {
    if (value == nullptr || value_size == nullptr) return KVSTORE_ERROR;
    auto found = open.vectors.get(bytes);
    if (!found) return api::vector_code_of(found.error());
    return api::set_part(*found, value, value_size) ? KVSTORE_OK : KVSTORE_NOMEM;
  });
}

int kvstore_vec_get_vector(KVVecStore* vectors, const void* key, int key_size, float** vector,
                           int* floats) {
  if (vector != nullptr) *vector = nullptr;
  if (floats != nullptr) *floats = 0;
  return api::with_key(vectors, key, key_size, [&](api::Vectors& open, snkv::BytesView bytes) {
    if (vector == nullptr || floats == nullptr) return KVSTORE_ERROR;
    return api::get_vector(open, bytes, vector, floats);
  });
}

int kvstore_vec_get_metadata(KVVecStore* vectors, const void* key, int key_size, void** metadata,
                             int* metadata_size) {
  if (metadata != nullptr) *metadata = nullptr;
  if (metadata_size != nullptr) *metadata_size = 0;
  return api::with_key(vectors, key, key_size, [&](api::Vectors& open, snkv::BytesView bytes) {
    if (metadata == nullptr || metadata_size == nullptr) return KVSTORE_ERROR;
    return api::get_metadata(open, bytes, metadata, metadata_size);
  });
}

int kvstore_vec_contains(KVVecStore* vectors, const void* key, int key_size) {
  int there = 0;
  (void)api::with_key(vectors, key, key_size, [&](api::Vectors& open, snkv::BytesView bytes) {
    auto found = open.store.contains(bytes);
    there = found && *found ? 1 : 0;
    return KVSTORE_OK;
  });
  return there;
}

int64_t kvstore_vec_count(KVVecStore* vectors) {
  std::int64_t count = 0;
  (void)api::with_vectors(vectors, [&](api::Vectors& open) {
    auto size = open.vectors.size();
    if (size) count = static_cast<std::int64_t>(*size);
    return KVSTORE_OK;
  });
  return count;
}

int kvstore_vec_search(KVVecStore* vectors, const float* query, int top_k, int rerank,
                       int oversample, float max_distance, KVVecSearchResult** results,
                       int* count) {
  const int code = api::check_search(query, top_k, results, count);
  return api::with_vectors(vectors, [&](api::Vectors& open) {
    if (code != KVSTORE_OK) return code;
    if (oversample < 0 || std::isnan(max_distance)) return KVSTORE_ERROR;
    snkv::VectorSearch options;
    options.rerank = rerank != 0;
    if (oversample > 0) options.oversample = static_cast<std::size_t>(oversample);
    if (max_distance != 0) options.max_distance = max_distance;
    auto hits = open.vectors.search({query, open.vectors.dim()}, static_cast<std::size_t>(top_k),
                                    options);
    return api::give_out(open, hits, results, count);
  });
}

int kvstore_vec_search_keys(KVVecStore* vectors, const float* query, int top_k,
                            KVVecKeyResult** results, int* count) {
  const int code = api::check_search(query, top_k, results, count);
  return api::with_vectors(vectors, [&](api::Vectors& open) {
    if (code != KVSTORE_OK) return code;
    auto hits =
        open.vectors.search_keys({query, open.vectors.dim()}, static_cast<std::size_t>(top_k));
    return api::give_out(open, hits, results, count);
  });
}

void kvstore_vec_free_results(KVVecSearchResult* results, int count) {
  api::free_all(results, count);
}
void kvstore_vec_free_key_results(KVVecKeyResult* results, int count) {
  api::free_all(results, count);
}

int kvstore_vec_stats(KVVecStore* vectors, KVVecStats* stats) {
  if (stats != nullptr) *stats = KVVecStats{};
  return api::with_vectors(vectors, [&](api::Vectors& open) {
    return stats == nullptr ? KVSTORE_ERROR : api::stats(open, *stats);
  });
}

int kvstore_vec_purge_expired(KVVecStore* vectors, int* deleted) {
  if (deleted != nullptr) *deleted = 0;
  return api::with_vectors(vectors, [&](api::Vectors& open) {
    auto purged = open.vectors.purge_expired();
    if (purged && deleted != nullptr) *deleted = api::as_int(*purged);
    return api::done(purged);
  });
}

int kvstore_vec_drop_index(KVVecStore* vectors) {
  return api::with_vectors(vectors,
                           [](api::Vectors& open) { return api::done(open.vectors.drop_index()); });
}

int kvstore_vec_verify(KVVecStore* vectors, KVVecCheckReport* report, KVProgress progress,
                       void* context) {
  return api::check(vectors, report, progress, context,
                    [](snkv::VectorStore<>& rows, const snkv::Progress& tell) { return rows.verify(tell); });
}

int kvstore_vec_repair(KVVecStore* vectors, KVVecCheckReport* report, KVProgress progress,
                       void* context) {
  return api::check(vectors, report, progress, context,
                    [](snkv::VectorStore<>& rows, const snkv::Progress& tell) { return rows.repair(tell); });
}

void kvstore_vec_free_report(KVVecCheckReport* report) {
  if (report != nullptr) api::free_report(*report);
}

}
