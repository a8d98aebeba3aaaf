// SPDX-License-Identifier: Apache-2.0
#include "platform/gzip.hpp"

#include <zlib.h>

#include <new>

namespace things {

std::string gzip(std::string_view text) {
    z_stream stream{};
    constexpr int window = 15 + 16; // the largest, with the header of gzip
    if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::bad_alloc();
    std::string out(deflateBound(&stream, text.size()), '\0');
    // zlib does not write there, it has merely no const.
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data())); // NOLINT
    stream.avail_in = static_cast<uInt>(text.size());
    stream.next_out = reinterpret_cast<Bytef*>(out.data()); // NOLINT
    stream.avail_out = static_cast<uInt>(out.size());
    deflate(&stream, Z_FINISH);
    out.resize(stream.total_out);
    deflateEnd(&stream);
    return out;
}

} // namespace things
