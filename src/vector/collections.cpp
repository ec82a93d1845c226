// The code behind collections of vectors, compiled once (include/snkv/vector/detail/linkage.hpp). One
// translation unit, because all of it stands on the same graph, rows and metadata index, which each further
// one would compile again.
#include <snkv/vector/detail/bodies.hpp>
