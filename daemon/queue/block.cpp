// SPDX-License-Identifier: Apache-2.0
#include "queue/block.hpp"

#include "queue/bytes.hpp"

#include <algorithm>
#include <bit>
#include <cmath>

#include <zlib.h>

namespace things {

namespace {

enum Kind : std::uint8_t { no, yes, signed_integer, unsigned_integer, raw, text, single, decimal };

constexpr int most_decimals = 8;
constexpr double power_of_ten[most_decimals + 1] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
constexpr double exact_limit = 9007199254740992.0; // 2^53

bool is_same(double a, double b) {
    return std::bit_cast<std::uint64_t>(a) == std::bit_cast<std::uint64_t>(b);
}

/// Tries to say `v` as an integer over 10^decimals; the division is what the reader will do, so bits agree.
bool try_decimal(double v, int decimals, std::int64_t& mantissa) {
    const double scaled = v * power_of_ten[decimals];
    if (!(std::fabs(scaled) < exact_limit))
        return false;
    mantissa = static_cast<std::int64_t>(scaled + (scaled < 0 ? -0.5 : 0.5));
    return is_same(static_cast<double>(mantissa) / power_of_ten[decimals], v);
}

std::uint8_t put_double(std::string& out, double v) {
    std::int64_t mantissa = 0;
    int decimals = 0;
    for (; decimals <= 3; ++decimals)
        if (try_decimal(v, decimals, mantissa))
            break;
    if (decimals > 3) {
        // Values that devices deliver as float32 look random in decimals; ask that first, it is cheaper.
        const auto narrow = static_cast<float>(v);
        if (is_same(static_cast<double>(narrow), v)) {
            put_fixed(out, narrow);
            return single;
        }
        while (decimals <= most_decimals && !try_decimal(v, decimals, mantissa))
            ++decimals;
    }
    if (decimals > most_decimals) {
        put_fixed(out, v);
        return raw;
    }
    put_signed(out, mantissa);
    return static_cast<std::uint8_t>(decimal + decimals);
}

std::uint8_t put_body(std::string& out, const Value& value) {
    switch (value.index()) {
    case 0:
        return std::get<bool>(value) ? yes : no;
    case 1:
        put_signed(out, std::get<std::int64_t>(value));
        return signed_integer;
    case 2:
        put_varint(out, std::get<std::uint64_t>(value));
        return unsigned_integer;
    case 3:
        return put_double(out, std::get<double>(value));
    default:
        put_text(out, std::get<std::string>(value));
        return text;
    }
}

Value get_body(ByteReader& in, std::uint8_t kind) {
    switch (kind) {
    case no:
    case yes:
        return kind == yes;
    case signed_integer:
        return in.signed_varint();
    case unsigned_integer:
        return in.varint();
    case raw:
        return in.fixed<double>();
    case text:
        return std::string(in.text());
    case single:
        return static_cast<double>(in.fixed<float>());
    default:
        return static_cast<double>(in.signed_varint()) / power_of_ten[(kind - decimal) & 15];
    }
}

void skip_body(ByteReader& in, std::uint8_t kind) {
    if (kind == text)
        (void)in.text();
    else if (kind == raw)
        (void)in.fixed<double>();
    else if (kind == single)
        (void)in.fixed<float>();
    else if (kind >= signed_integer)
        (void)in.varint();
}

/// Control byte, series and time; the kind of value is what comes back.
std::uint8_t get_head(ByteReader& in, BlockPosition& at) {
    const std::uint8_t control = in.byte();
    const unsigned series = (control >> 4) & 3U;
    if (series == 0)
        ++at.series;
    else if (series == 2)
        at.series = static_cast<SeriesId>(static_cast<std::int64_t>(at.series) + in.signed_varint());
    if ((control >> 6) == 1)
        at.time = static_cast<std::int64_t>(static_cast<std::uint64_t>(at.time) +
                                            static_cast<std::uint64_t>(in.signed_varint()));
    return control & 15U;
}

} // namespace

std::uint32_t checksum(std::string_view bytes) {
    return static_cast<std::uint32_t>(
        crc32_z(0, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()));
}

void append(Block& block, BlockPosition& end, const Reading& reading) {
    std::string& out = block.bytes;
    const std::size_t control_at = out.size();
    out.push_back(0);
    unsigned control = 0;
    if (reading.series == end.series) {
        control |= 1U << 4;
    } else if (reading.series != end.series + 1) {
        control |= 2U << 4;
        put_signed(out, std::int64_t{reading.series} - std::int64_t{end.series});
    }
    if (reading.stamp.ms != end.time) {
        control |= 1U << 6;
        put_signed(out, static_cast<std::int64_t>(static_cast<std::uint64_t>(reading.stamp.ms) -
                                                  static_cast<std::uint64_t>(end.time)));
    }
    control |= put_body(out, reading.value);
    out[control_at] = static_cast<char>(control);
    block.oldest = block.count == 0 ? reading.stamp.ms : std::min(block.oldest, reading.stamp.ms);
    block.newest = block.count == 0 ? reading.stamp.ms : std::max(block.newest, reading.stamp.ms);
    end = {++block.count, out.size(), reading.series, reading.stamp.ms};
}

bool read_next(const Block& block, BlockPosition& at, Reading& reading) {
    if (at.index >= block.count)
        return false;
    ByteReader in(block.bytes);
    in.seek(at.offset);
    const std::uint8_t kind = get_head(in, at);
    reading.series = at.series;
    reading.stamp = {at.time, block.boot == 0 ? Stamp::Clock::wall : Stamp::Clock::boot};
    reading.value = get_body(in, kind);
    ++at.index;
    at.offset = in.position();
    return in.is_good();
}

bool skip_next(const Block& block, BlockPosition& at) {
    if (at.index >= block.count)
        return false;
    ByteReader in(block.bytes);
    in.seek(at.offset);
    skip_body(in, get_head(in, at));
    ++at.index;
    at.offset = in.position();
    return in.is_good();
}

Block cut(const Block& block, Span span) {
    Block out;
    out.first = span.first;
    out.boot = block.boot;
    BlockPosition at, end;
    Reading reading;
    for (std::uint64_t n = block.first; n < span.last; ++n) {
        if (n < span.first ? !skip_next(block, at) : !read_next(block, at, reading))
            break;
        if (n >= span.first)
            append(out, end, reading);
    }
    return out;
}

bool is_sound(const Block& block) {
    BlockPosition at;
    while (at.index < block.count)
        if (!skip_next(block, at))
            return false;
    return at.offset == block.bytes.size();
}

void put_frame(std::string& out, DeviceId device, const Block& block) {
    put_varint(out, device);
    put_varint(out, block.first);
    put_varint(out, block.count);
    put_varint(out, block.boot);
    put_signed(out, block.oldest);
    put_varint(out, static_cast<std::uint64_t>(block.newest) - static_cast<std::uint64_t>(block.oldest));
    put_text(out, block.bytes);
}

std::uint32_t frame_checksum(DeviceId device, const Block& block) {
    std::string frame;
    put_frame(frame, device, block);
    return checksum(frame);
}

std::optional<std::vector<Frame>> parse_frames(std::string_view bytes) {
    std::vector<Frame> frames;
    ByteReader in(bytes);
    while (!in.at_end()) {
        Frame f;
        f.device = static_cast<DeviceId>(in.varint());
        f.block.first = in.varint();
        f.block.count = static_cast<std::uint32_t>(in.varint());
        f.block.boot = static_cast<std::uint32_t>(in.varint());
        f.block.oldest = in.signed_varint();
        f.block.newest = static_cast<std::int64_t>(static_cast<std::uint64_t>(f.block.oldest) + in.varint());
        f.block.bytes = std::string(in.text());
        if (!in.is_good() || f.block.count == 0 || !is_sound(f.block))
            return std::nullopt;
        frames.push_back(std::move(f));
    }
    return frames;
}

void put_value(std::string& out, const Value& value) {
    const std::size_t kind_at = out.size();
    out.push_back(0);
    out[kind_at] = static_cast<char>(put_body(out, value));
}

Value get_value(ByteReader& reader) {
    const std::uint8_t kind = reader.byte() & 15U;
    return get_body(reader, kind);
}

} // namespace things
