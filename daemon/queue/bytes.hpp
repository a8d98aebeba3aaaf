// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

// The bytes of everything the queue stores: little endian, variable-length integers of 7 bits a byte (low
// bits first), signed ones zigzag. Readers never read past the end: they turn `bad` and give zeros. Pure.
namespace things {

/// Small numbers of either sign become small ones without: 0, -1, 1, -2 are 0, 1, 2, 3.
[[nodiscard]] constexpr std::uint64_t zigzag(std::int64_t v) {
    return (static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63);
}
[[nodiscard]] constexpr std::int64_t unzigzag(std::uint64_t v) {
    return static_cast<std::int64_t>(v >> 1) ^ -static_cast<std::int64_t>(v & 1);
}

/// CRC-32 of some bytes (the one of zlib).
[[nodiscard]] std::uint32_t checksum(std::string_view bytes);

// Writers append to `out`.
/// One byte up to 127, ten at most.
inline void put_varint(std::string& out, std::uint64_t v) {
    char buffer[10];
    std::size_t n = 0;
    for (; v >= 0x80; v >>= 7)
        buffer[n++] = static_cast<char>(v | 0x80);
    buffer[n++] = static_cast<char>(v);
    out.append(buffer, n);
}
inline void put_signed(std::string& out, std::int64_t v) {
    put_varint(out, zigzag(v));
}
/// As it stands in memory: the files are little endian, as are all machines this runs on.
template <typename T>
void put_fixed(std::string& out, T v) {
    char buffer[sizeof v];
    std::memcpy(buffer, &v, sizeof v);
    out.append(buffer, sizeof v);
}
/// Its size as a varint, then its bytes; no NUL behind.
inline void put_text(std::string& out, std::string_view text) {
    put_varint(out, text.size());
    out.append(text);
}

/// Reads what the writers wrote, and anything else without harm. After the first read past the end all reads
/// give zeros and is_good() is false: ask once, at the end.
class ByteReader {
public:
    explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}

    /// Says nothing of whether all that was read made sense: see is_good().
    [[nodiscard]] bool at_end() const { return at_ >= bytes_.size(); }
    [[nodiscard]] bool is_good() const { return !bad_; }
    /// From the beginning of the bytes; seek() goes back to one.
    [[nodiscard]] std::size_t position() const { return at_; }
    void seek(std::size_t position) { at_ = position; }

    std::uint8_t byte() {
        if (at_ < bytes_.size())
            return static_cast<std::uint8_t>(bytes_[at_++]);
        bad_ = true;
        return 0;
    }
    /// More than ten bytes are a fault, not a larger number.
    std::uint64_t varint() {
        std::uint64_t v = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const std::uint8_t b = byte();
            v |= std::uint64_t{b & 0x7fU} << shift;
            if ((b & 0x80) == 0)
                return v;
        }
        bad_ = true;
        return 0;
    }
    std::int64_t signed_varint() { return unzigzag(varint()); }
    template <typename T>
    T fixed() {
        T v{};
        if (bytes_.size() - at_ < sizeof v) {
            bad_ = true;
            return v;
        }
        std::memcpy(&v, bytes_.data() + at_, sizeof v);
        at_ += sizeof v;
        return v;
    }
    /// Valid as long as the bytes the reader was made of.
    std::string_view view(std::uint64_t size) {
        if (size > bytes_.size() - at_) {
            bad_ = true;
            return {};
        }
        const std::string_view v = bytes_.substr(at_, static_cast<std::size_t>(size));
        at_ += v.size();
        return v;
    }
    std::string_view text() { return view(varint()); }

private:
    std::string_view bytes_;
    std::size_t at_ = 0;
    bool bad_ = false;
};

} // namespace things
