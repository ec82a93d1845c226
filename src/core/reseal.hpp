/// \file
/// A part of the write path: sealing what there is with the latest key, piece by piece.
#pragma once

#include "core/write_path.hpp"

#include <cstdint>

namespace snkv::core {

/// How far a family has been gone through.
struct ResealPosition {
  Bytes after;                    ///< all up to this key is done
  std::int64_t large_id = 0;      ///< of the value that is under way
  std::uint64_t chunk = 0;        ///< its first chunk that is not done
  std::uint64_t entries = 0;      ///< number of entries that are done
  bool rows_finished = false;
  std::int64_t column_row = 0;    ///< of a column: all its rows up to this one are done
  bool finished = false;
};

/// Goes on with a family, in the transaction that is open, and stops when it is enough for one. `tampered`
/// for a value that cannot be opened.
[[nodiscard]] Error reseal_some(const WriteContext& context, ResealPosition& position);

}  // namespace snkv::core
