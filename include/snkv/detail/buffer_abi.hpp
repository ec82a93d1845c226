/// \file
/// The door from the inline facade to the compiled write buffer. Not part of the public interface.
#pragma once

#include <snkv/detail/core_abi.hpp>
#include <snkv/write_buffer_options.hpp>

namespace snkv::core {

/// `out` is bound to the buffer: what is done through it goes there.
SNKV_API Error open_buffer(const Target& store, const WriteBufferOptions& options, Target& out);
SNKV_API Error buffer_flush(const Target& buffer);
SNKV_API Error buffer_close(const Target& buffer);
SNKV_API Error buffer_stats(const Target& buffer, WriteBufferStats& out);
/// The same family through the buffer.
SNKV_API Error buffer_family(const Target& buffer, const Target& family, Target& out);
SNKV_API Error drop_journal(const Target& store, std::string_view name);

}  // namespace snkv::core
