/// \file
/// The two forms in which entries are written as text.
#pragma once

namespace snkv::vector_detail {

/// One JSON document, or a line of JSON for each entry.
enum class TextLayout : unsigned char { document, lines };

}  // namespace snkv::vector_detail
