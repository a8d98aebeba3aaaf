// SPDX-License-Identifier: Apache-2.0
#include "queue/dead_letter.hpp"

#include "queue/block.hpp"
#include "queue/bytes.hpp"

namespace things {

std::string encode(const StoredLetter& letter) {
    std::string out;
    put_varint(out, letter.id);
    put_varint(out, letter.device);
    put_varint(out, letter.reading.series);
    put_signed(out, letter.reading.stamp.ms);
    put_value(out, letter.reading.value);
    put_text(out, letter.reason);
    put_signed(out, letter.wall_ms);
    return out;
}

std::optional<StoredLetter> decode_letter(std::string_view bytes) {
    ByteReader in(bytes);
    StoredLetter l;
    l.id = in.varint();
    l.device = static_cast<DeviceId>(in.varint());
    l.reading.series = static_cast<SeriesId>(in.varint());
    l.reading.stamp.ms = in.signed_varint();
    l.reading.value = get_value(in);
    l.reason = std::string(in.text());
    l.wall_ms = in.signed_varint();
    if (!in.is_good() || !in.at_end())
        return std::nullopt;
    return l;
}

} // namespace things
